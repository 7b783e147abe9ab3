"""What a hand-in gets points for: what was found for each line of the rubric.

The program judges what can be measured; the rest it leaves open for a person, with the answers to
read.
"""

import math
from typing import NamedTuple

from grader.answers import MIN_WORDS
from grader.files import File
from grader.measures import PROMISED, PROMISES, promised
from grader.names import BASELINE, MODELS, MODELS_OF, NOTEBOOKS, PAPER
from grader.papers import PAGE
from grader.rubric import Line

MAX_CELLS = 5  # that are listed for a line
MAKER = {model: notebook for notebook, models in MODELS_OF.items() for model in models}


class Graded(NamedTuple):
    """A line with its points, None where a person judges, and what was found and asked.

    quotes: [(where, text)] of what there is to read. comment: a person's.
    """

    line: Line
    points: float | None
    found: str
    asked: str
    quotes: tuple = ()
    comment: str = ""


def grade(rubric, files, absent="missing"):
    """A Graded for each line. files: name -> File; absent: what to say of the others."""
    files = {name: files.get(name, File(absent)) for name in (*NOTEBOOKS, *MODELS)} | files
    against = standing(files)
    graded = []
    for line in rubric:
        file = files[line.file or NOTEBOOKS[line.question - 1]]
        quotes: list = []
        if line.kind == "reading":
            points, found, quotes = reading(line, file, files.get(PAPER))
        elif line.kind == "notebook":
            points, found = run(line, file)
        else:
            met, found = JUDGES[line.kind](line, file, files, against, rubric)
            points = line.points if met else 0
        graded.append(Graded(line, points, found, asked(line), tuple(quotes)))
    return graded


def standing(files, alone=False):
    """Name of a model -> why it counts for nothing, or "". files: name -> File, of all models.

    A file needs a notebook that makes it and must hold what its title promises; under a second
    name it counts no more. alone: whether it may do without a notebook, though not with one that
    does not make it.
    """
    against: dict[str, str] = {}
    first: dict[str, str] = {}
    for name in MODELS:
        file, notebook = files[name], files[MAKER[name]]
        digest = file.measures.get("sha256")
        unmade = notebook.said.get("unmade", {}).get(name)
        kept, found = True, ""
        if name in PROMISED and file.measures:
            kept, found = promised(PROMISED[name], file.measures)
        if file.problem:
            reason = file.problem
        elif not notebook.said and not alone:
            reason = f"{MAKER[name]}, which has to make it: {notebook.problem}"
        elif unmade:
            reason = f"{MAKER[name]} does not make it, unanswered is {unmade}"
        elif digest in first:
            reason = f"the same file as {first[digest]}, and counts once"
        elif not kept:
            reason = found
        else:
            reason = ""
            first[digest] = name
        against[name] = reason
    return against


def listed(names):
    """Some names in words, the first of them."""
    more = [f"{len(names) - MAX_CELLS} more"] if len(names) > MAX_CELLS else []
    return "; ".join([*names[:MAX_CELLS], *more])


def run(line, file):
    """Points for a notebook that was run, by the share of the cells that print, and what was
    found."""
    left, silent = file.said.get("stubs", ()), file.said.get("silent", ())
    if file.problem:
        return 0, file.problem
    if left:
        return 0, f"unanswered: {listed([title for _, title in left])}"
    if silent:
        printing = file.said["printing"]
        points = math.floor(line.points * (1 - len(silent) / printing))
        return points, f"{len(silent)} of {printing} cells that print have no output: " + listed(
            silent
        )
    return line.points, "with outputs, without errors, no task left"


def reads(file):
    return f"{file.correct:,} of {file.total:,} images, {file.share:.2%}"


def accuracy(line, file, files, against, rubric):
    """Whether a model reads enough, and what was found."""
    if line.printed and (against[line.file] or file.bits > line.printed):
        return printed(line, file, files, against)
    if against[line.file]:
        return False, against[line.file]
    what = promised(PROMISED[line.file], file.measures)[1] if line.file in PROMISED else ""
    return file.share >= line.at_least, ", ".join(filter(None, [reads(file), what]))


def printed(line, file, files, against):
    """The same by what the notebook printed, where the file does not serve."""
    why = against[line.file] or f"the file stores {file.bits} bits a weight"
    notebook = files[MAKER[line.file]]
    share = notebook.said.get("printed")
    if share is None or notebook.problem or notebook.said.get("stubs"):
        return False, f"{why}; the notebook prints no accuracy that counts"
    return share >= line.at_least, f"{share:.2%} as the notebook printed, not measured: {why}"


def limit(line, file, files, against, rubric):
    """Whether a model that counts is small enough, in bytes or in bits a weight."""
    if against[line.file]:
        return False, against[line.file]
    if line.kind == "size":
        met, found = file.size <= line.at_most, f"{file.size:,} bytes"
    else:
        met, found = 0 < file.bits <= line.bits, f"{file.bits or 'unknown'} bits"
    enough = file.share >= floor(rubric, line)
    return (met, found) if enough else (False, f"{found}, but it reads {reads(file)}")


def floor(rubric, line):
    """The share that a model must read before a line on it counts."""
    shares = [o.at_least for o in rubric if o.kind == "accuracy" and o.file == line.file]
    return min(shares, default=0)


def rules(line, file, files, against, rubric):
    """Whether the network keeps the assignment's rules, as far as a file shows it."""
    keras, float_file = files.get(BASELINE, File("missing")), files[MODELS[0]]
    wrong, seen = [], []
    if "custom" in keras.said:
        seen.append(BASELINE)
        wrong += [f"{name} is a custom layer" for name in keras.said["custom"]]
        wrong += [f"{name} is not directly before an activation" for name in keras.said["late"]]
    if float_file.measures and not against[MODELS[0]]:
        seen.append(MODELS[0])
        wrong += [f"{name} is an operator of its own" for name in float_file.measures["custom"]]
        if float_file.measures["late"] and "custom" not in keras.said:
            wrong.append("a batch normalization is not directly before an activation")
    if not seen:
        return False, f"nothing to see it by: {against[MODELS[0]] or keras.problem}"
    return not wrong, listed(wrong) or f"as far as {' and '.join(seen)} show{'s' * (len(seen) < 2)}"


def qkeras(line, file, files, against, rubric):
    """Whether a notebook uses QKeras and shows what `print_qstats` says."""
    if not file.said:
        return False, file.problem
    absent = [] if file.said["qkeras"] else ["no QKeras layer in the student's own cells"]
    absent += [] if file.said["qstats"] else ["no output of print_qstats"]
    return not absent, ", ".join(absent) or "QKeras layers, and the output of print_qstats"


def paper(line, file, files, against, rubric):
    """Whether there is a Word or PDF file of a page or more."""
    found = files.get(PAPER, File("no Word or PDF file"))
    if found.problem:
        return False, ": ".join(filter(None, (found.place, found.problem)))
    words = len(found.said["text"].split())
    return words >= PAGE, f"{found.place}, {words:,} words"


JUDGES = {
    "accuracy": accuracy,
    "size": limit,
    "bits": limit,
    "rules": rules,
    "qkeras": qkeras,
    "paper": paper,
}


def asked(line):
    """What a line asks, in words."""
    promise = f", and {PROMISES[PROMISED[line.file]]}" if line.file in PROMISED else ""
    otherwise = ", or as the notebook printed" if line.printed else ""
    return {
        "notebook": f"q{line.question}.ipynb run, without errors, no task left",
        "accuracy": f"{line.file} reads at least {100 * line.at_least:.4g}% of the test images"
        f"{promise}{otherwise}",
        "size": f"{line.file} has at most {line.at_most:,} bytes after gzip",
        "bits": f"{line.file} stores at most {line.bits} bits a weight",
        "rules": "no custom layers; batch normalization directly before an activation",
        "qkeras": "QKeras layers, and the output of print_qstats",
        "paper": f"a Word or PDF file, a page or more: {PAGE} words",
        "reading": "a person reads this",
    }[line.kind]


def reading(line, file, page):
    """(points, what was found, [(where, text)]) of what a person reads.

    Points are None where there is something to read, and else 0.
    """
    if not file.said:
        return 0, file.problem, []
    answers, prose = file.said.get("answers"), file.said.get("prose", ())
    quotes, asked_for = [], []
    for answer in answers or ():
        if any(word.search(answer["label"]) for word in line.words):
            asked_for.append(f"“{answer['label']}”")
            if answer["text"]:
                quotes.append((f"“{answer['label']}”", f"{answer['question']} — {answer['text']}"))
    known = {answer["cell"] for answer in answers or ()}
    matching = [(w, t) for w, t in prose if any(word.search(t) for word in line.words)]
    enough = [(w, t) for w, t in matching if w not in known and len(t.split()) > MIN_WORDS]
    quotes += enough
    if line.paper and page and not page.problem:
        quotes.append((page.place, " ".join(page.said["text"].split())))
    if quotes:
        return None, listed([where for where, _ in quotes]), quotes
    if answers is not None:
        return 0, f"not answered: {', '.join(asked_for) or 'nothing of the student’s own'}", []
    if sum(len(text.split()) for _, text in prose) <= MIN_WORDS:
        return 0, "nothing was written", []
    return None, "found no such cell: read the notebook", []
