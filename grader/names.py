"""The names that the assignment asks for, and what files of other names may be."""

import re
import unicodedata

NOTEBOOKS = "q1.ipynb", "q2.ipynb", "q3.ipynb", "q4.ipynb"
MODELS = (
    *("sign_mnist.tflite", "sign_mnist_quant_dyn.tflite", "sign_mnist_quant_int16x8.tflite"),
    *("sign_mnist_quant_aware_training.tflite", "sign_mnist_clustered.tflite"),
    *("sign_mnist_pruned.tflite", "sign_mnist_qkeras_4bit.tflite"),
)
MODELS_OF = dict(zip(NOTEBOOKS, (MODELS[:4], *((name,) for name in MODELS[4:])), strict=True))
BASELINE, FOUR_BITS = "sign_mnist_baseline.keras", "sign_mnist_qkeras_4bit.keras"
PAPER = "the Word or PDF file"
MAX_NAME = 300  # characters of a name that is looked at
# what browsers, Drive, JupyterLab, learning platforms and desktops add to the name of a copy
COPY = "copy|kopie|copie|copia"
COPY_OF = re.compile(rf"(?:{COPY}) (?:of|von|de|di) ")
COPY_MARK = re.compile(
    rf"(?: ?\((?:\d+|(?:another |\d+\w\w )?(?:{COPY}))\)|[ _-]+(?:{COPY}) ?\d*|[ -]\d+)$"
)
FORMULA = tuple("=+-@\u2212")  # how a cell begins that a spreadsheet would compute
# words in the names of folders whose files count last
SPARE = {"backup", "backups", "old", "copy", "copies", "draft", "drafts", "previous", "trash"}
# what tells in another name which file it is
NUMBERS = (
    r"(?<![a-z])(?:q|question|exercise|ex|task|problem|part|aufgabe)[ _-]*0*([1-4])(?!\d)",
    r"(?<![\da-z])(?:(?:notebook|nb|hw|homework|assignment)[ _-]*)?0*([1-4])(?!\d)",
)
NOTEBOOK_TECHNIQUES = dict(zip(NOTEBOOKS, ("quanti", "cluster", "prun", "qkeras"), strict=True))
MODEL_TECHNIQUES = dict(
    zip(MODELS[1:], ("dyn", "16x8", "aware|qat", "clust", "prun", "qkeras|4[ _-]?bit"), strict=True)
)
FLOAT = re.compile(
    r"sign_mnist(?:[ _-]++|float(?:32)?|baseline|final|new|model|v?\d++)*+\.", re.IGNORECASE
)


def asked_for(name):
    """The name of the assignment that a file's name stands for, or "".

    Capitals and the marks of a copy, such as "(1)", make no other name.
    """
    if len(name) > MAX_NAME:
        return ""
    stem, dot, suffix = COPY_OF.sub("", name.lower()).strip().rpartition(".")
    while True:
        stem = stem.strip().removesuffix(dot + suffix)
        if stem + dot + suffix in (*NOTEBOOKS, *MODELS):
            return stem + dot + suffix
        shorter = COPY_MARK.sub("", stem)
        if shorter == stem:
            return ""
        stem = shorter


def meant(name):
    """The name of the assignment of which the number or the technique stands in another, or ""."""
    name = name.lower()[-MAX_NAME:]
    if re.search(r"\.(?:ipynb|py|html?|pdf|gdoc)\b", name):
        for pattern in NUMBERS:
            numbers = set(re.findall(pattern, name))
            if numbers:
                return NOTEBOOKS[int(numbers.pop()) - 1] if len(numbers) == 1 else ""
        techniques = NOTEBOOK_TECHNIQUES
    elif re.search(r"\.(?:tflite|lite|keras|h5|hdf5|pb)\b", name):
        techniques = MODEL_TECHNIQUES
        if FLOAT.match(name):
            return MODELS[0]
    else:
        return ""
    told = [asked for asked, word in techniques.items() if re.search(word, name)]
    return told[0] if len(told) == 1 else ""


def missing(name, others):
    """What to say of a file that is not there. others: the places of files of other names."""
    near = [place for place in others if meant(place.rpartition("/")[2]) == name]
    own = re.compile(rf"\.{name.rpartition('.')[2]}(?:\.txt|\.json)?$", re.IGNORECASE)
    renamed = [place for place in near if own.search(place)]
    if renamed:
        return f"missing (is it {' or '.join(renamed[:3])}? Rename it)"
    return f"missing (there is {', '.join(near[:3])})" if near else "missing"


def printable(name):
    """A text without line breaks or what a terminal would take for commands."""
    return name if name.isprintable() else ascii(name)


def plain(name, lines=False):
    """A text for a cell of a spreadsheet, which must not take it for a formula.

    lines: whether it may have line breaks.
    """
    text = "\n".join(map(printable, name.split("\n"))) if lines else printable(str(name))
    # full-width signs and those after blanks count as well
    computed = unicodedata.normalize("NFKC", text).lstrip().startswith(FORMULA)
    return f"'{text}" if computed else text


def spare(folder):
    """Whether a path names a folder of spare files, such as Old_1 or myBackup, but not Harold."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", folder)
    return not SPARE.isdisjoint(word.lower() for word in words)


def hidden(place):
    """Whether a path is an archiver's or an editor's own, such as __MACOSX/._q1.ipynb."""
    return any(part.startswith(".") and part != ".." or part == "__MACOSX" for part in place.parts)
