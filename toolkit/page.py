"""Networks in C as WebAssembly, and a page on which they run."""

import json
from pathlib import Path

from toolkit.embedded import packed
from toolkit.files import replacing
from toolkit.firmware import STRICT, tool
from toolkit.tflite import gzip_size

WASM = (
    *("--target=wasm32", "-Oz", "-flto", "-mbulk-memory", "-msign-ext", "-nostdlib"),
    *("-Wl,--no-entry", "-Wl,--strip-all", "-Wl,-z,stack-size=4096"),
)


def to_wasm(code, sources, folder):
    """A Code with its engine as the bytes of a WebAssembly module, by clang and lld.

    sources: the folder of firmware/. folder: where it is built. Raises ModelError without clang.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.h").write_text(code.text)
    files = [Path(sources, name) for name in ("network.c", "wasm.c")]
    module = folder / "network.wasm"
    tool("clang", *STRICT, *WASM, "-I", folder, "-I", sources, *files, "-o", module)
    return module.read_bytes()


def write_page(path, template, networks, images, letters):
    """Writes a page that runs networks, one readable file that needs no other.

    template: the path of firmware/page.html. networks: [(title, Code, module)]. images: [(letter,
    uint8 (28, 28))]. letters: a text, one for each score.
    """
    data = {
        "letters": letters,
        "images": [{"letter": letter, "pixels": packed(x.tobytes())} for letter, x in images],
        "networks": [
            {
                "title": title,
                "bytes": len(module),
                "gzip": gzip_size(module),
                "scale": code.ends[0][0],
                "zero": code.ends[0][1],
                "wasm": packed(module),
            }
            for title, code, module in networks
        ],
    }
    page = Path(template).read_text().replace("/*DATA*/", json.dumps(data, indent=1))
    with replacing(path) as temporary:
        temporary.write_text(page)
