"""Hand-ins for tests: starters as somebody would have answered them, models of their own."""

import io
import json
import random
import zipfile
from pathlib import Path

from grader.answers import prints
from grader.names import MODELS, NOTEBOOKS
from grader.starters import QUESTION, STUB, starters
from toolkit.graph import load_model

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / "models"
SOME = "accuracy bytes layer weights cluster zero kernel epoch network table photos letters smaller"
WORDS = (
    f"{SOME} larger because scale integer float training converted measured latency memory".split()
)
CALLS = [f"call_{word}" for word in WORDS]


def cell(kind, source, output=None):
    made = {"cell_type": kind, "source": source, "metadata": {}}
    if kind == "code":
        outputs = [{"output_type": "stream", "name": "stdout", "text": output}] if output else []
        made |= {"execution_count": 1, "outputs": outputs}
    return made


def notebook(cells):
    """The bytes of a notebook with these cells."""
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


def words(chance, count):
    return " ".join(chance.choice(WORDS) for _ in range(count))


def solution(chance):
    """Code as nobody else writes it."""
    lines = []
    for i in range(30):
        call = f"{chance.choice(CALLS)}_{chance.choice(WORDS)}(b.{chance.choice(WORDS)}"
        option = f"{chance.choice(WORDS)}={chance.random():.3f})"
        lines.append(f"a{i} = {call}, {option} {chance.choice('+-*/')} {chance.randint(2, 99)}")
    return "\n".join(lines)


def answered(name, seed, run=True):
    """The bytes of a starter whose tasks and questions are answered. seed: of the student."""
    chance = random.Random(f"{seed} {name}")
    made = []
    for kind, text in starters()[name].cells:
        if kind == "markdown":
            own = QUESTION.sub(lambda match: f"We see: {words(chance, 60)}.", text)
            made.append(cell(kind, own if "?" in "".join(QUESTION.findall(text)) else text))
        elif STUB.search(text):
            extra = "\nnet = QDense(24, kernel_quantizer=quantized_bits(4))" * (name == "q4.ipynb")
            made.append(cell(kind, solution(chance) + extra))
        else:
            said = "Number of operations in model:\n" if "print_qstats(" in text else "done\n"
            made.append(cell(kind, text, said if run and prints(text) else None))
    return notebook(made)


def unanswered(name):
    """The bytes of a starter as it was handed out."""
    return notebook([cell(kind, text) for kind, text in starters()[name].cells])


def own_model(name, seed):
    """The bytes of the published .tflite file with other weights. seed: of the student."""
    content = bytearray((PUBLISHED / name).read_bytes())
    chance = random.Random(f"{seed} {name}")
    tensors = load_model(bytes(content)).subgraphs[0].tensors
    data = max((tensor.data for tensor in tensors), key=len)
    start = content.find(data)
    for _ in range(3):
        place = start + 4 * chance.randrange(len(data) // 4)
        content[place] ^= 1  # of a float the last bit, of integers one step
    return bytes(content)


def paper(seed):
    """The bytes of a Word file of a page."""
    text = words(random.Random(seed), 250)
    body = '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    body += f"<w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>"
    return zipped({"word/document.xml": body})


def hand_in(seed, models=MODELS):
    """Name -> bytes of a whole hand-in of a student."""
    files = {name: answered(name, seed) for name in NOTEBOOKS}
    files |= {f"models/{name}": own_model(name, seed) for name in models}
    return files | {"report_q4.docx": paper(seed)}


def zipped(members):
    """The bytes of a zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def roster(names, title="Compression (4711)"):
    """Canvas's export of a class, as text. names: (student, ID)."""
    lines = [f"Student,ID,SIS User ID,SIS Login ID,Section,{title},Current Score"]
    lines += ["    Points Possible,,,,,330.00,(read only)"]
    lines += [f'"{name}",{number},S{number},u{number},01,,0' for name, number in names]
    return "\n".join(lines) + "\n"
