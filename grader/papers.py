"""The text of a Word or PDF file, and the layers of a .keras file; nothing in them is executed."""

import json
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from grader.kinds import lookalike
from grader.processes import Unfit

PAGE = 200  # words that a page has at least
MAX_PAGES, MAX_TEXT, MAX_PART = 60, 200_000, 20 * 2**20
WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
ACTIVATIONS = {"Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "ThresholdedReLU", "Softmax"}
ACTIVATIONS |= {"QActivation", "QAdaptiveActivation"}
OWN = re.compile(r"(?:tf_)?keras\b|keras\.|tensorflow|qkeras|tensorflow_model_optimization|tfmot")


def read_paper(path):
    """{"text", "pages"} of a Word or PDF file; pages is 0 for Word. Raises Unfit."""
    content = Path(path).read_bytes()
    if content.startswith(b"PK"):
        return {"text": word_text(path)[:MAX_TEXT], "pages": 0}
    if b"%PDF" in content[:1024]:
        return pdf_text(path)
    raise Unfit(lookalike(content, "a Word or PDF file") or "damaged: save it again")


def word_text(path):
    try:
        with zipfile.ZipFile(path) as archive:
            part = archive.open("word/document.xml").read(MAX_PART + 1)
        if len(part) > MAX_PART:
            raise Unfit("too long to be read")
        root = ElementTree.fromstring(part)
    except (KeyError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise Unfit("not a Word file, or damaged: save it again") from error
    paragraphs = root.iter(f"{WORD}p")
    return "\n".join("".join(t.text or "" for t in p.iter(f"{WORD}t")) for p in paragraphs)


def pdf_text(path):
    import pypdf

    try:
        reader = pypdf.PdfReader(path)
        pages = [page.extract_text() for page in reader.pages[:MAX_PAGES]]
    except Exception as error:  # a damaged file may raise anything
        raise Unfit("a PDF that cannot be opened: save it again") from error
    return {"text": "\n".join(pages)[:MAX_TEXT], "pages": len(reader.pages)}


def layers_of(path):
    """{"custom", "late", "quantized"} of a .keras file: the names of layers that are not Keras's
    own, of batch normalizations that are not directly before an activation, and whether it has
    QKeras layers. Raises Unfit."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.open("config.json").read(MAX_PART))["config"]
        layers = [layer for layer in config["layers"] if layer["class_name"] != "InputLayer"]
    except Exception as error:  # whatever it is, it is not as Keras saves it
        raise Unfit("its layers cannot be read") from error
    names = {layer["config"]["name"]: layer for layer in layers}
    behind: dict[str, list] = {name: [] for name in names}
    if any("inbound_nodes" in layer for layer in layers):
        for layer in layers:
            for before in inbound(layer.get("inbound_nodes")):
                if before in behind:
                    behind[before].append(layer["class_name"])
    else:
        for one, after in zip(layers, layers[1:], strict=False):
            behind[one["config"]["name"]].append(after["class_name"])
    custom = [name for name, layer in names.items() if is_custom(layer)]
    late = [
        name
        for name, layer in names.items()
        if layer["class_name"].endswith("BatchNormalization")
        and not set(behind[name]) & ACTIVATIONS
    ]
    quantized = any(str(layer.get("module")).startswith("qkeras") for layer in layers)
    return {"custom": custom, "late": late, "quantized": quantized}


def is_custom(layer):
    """Whether a layer, as a .keras file describes it, is not one of a library's own."""
    module = layer.get("module")
    registered = layer.get("registered_name") or ""
    return layer["class_name"] == "Lambda" or not (
        module and OWN.match(module) and "Custom>" not in registered
    )


def inbound(nodes):
    """The names of the layers that a layer reads, from what either Keras writes of them."""
    if isinstance(nodes, dict):
        history = nodes.get("config", {}).get("keras_history")
        found = [history[0]] if history else []
        return found + [name for value in nodes.values() for name in inbound(value)]
    if isinstance(nodes, list):
        if nodes and isinstance(nodes[0], str):
            return [nodes[0]]
        return [name for node in nodes for name in inbound(node)]
    return []
