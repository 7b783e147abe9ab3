"""What a student made of a starter: which cells were run, which tasks are left, what was answered.

A notebook that was written without a starter is judged by its own cells alone.
"""

import ast
import re
from difflib import SequenceMatcher

from grader.mistakes.cells import GIVEN, parse
from grader.starters import QUESTION, STUB, plain_text

MIN_WORDS = 5  # of an answer
MAX_TEXT = 4_000  # characters of an answer that are quoted
MAX_NAME = 48
MARKS, NO_MARKS = re.compile(r"[*_#>`]+"), re.compile(r"^#@title|^# ")
LABEL = re.compile(r"\s*(?:#+\s*(.+)|\*\*(.+?)\*\*)")
SAYS = {"print", "display", "print_qstats"}  # functions that print whatever they are given
SHOWS = re.compile(r"check_\w+|show_\w+")  # those of the starters
PRINTS = {"show", "summary"}  # methods


def heading_of(text):
    """The first heading of a text in Markdown, or ""."""
    found = re.search(r"^#+\s+(.+)", text, re.MULTILINE)
    return MARKS.sub("", found[1]).strip() if found else ""


def shortened(text, length=MAX_NAME, marks=MARKS):
    """The first words of a text, less `marks`."""
    text = marks.sub("", plain_text(text)).strip()
    return text if len(text) <= length else text[:length].rsplit(" ", 1)[0] + " …"


def cell_names(cells):
    """Number of a cell -> what a reader finds it by: the heading above it and its first words."""
    names, heading = {}, ""
    for cell in cells:
        own = heading_of(cell.source) if cell.kind == "markdown" else ""
        heading = own or heading
        words = shortened(cell.source, marks=MARKS if cell.kind == "markdown" else NO_MARKS)
        place = f"“{shortened(heading)}”" if heading else "at the top"
        names[cell.number] = place if own else f"{place}, cell “{words}”"
    return names


def own_cells(cells, starter):
    """Those Cells that differ from the starter's, helpers aside."""
    given = {plain_text(text) for _, text in starter.cells}
    return [
        cell
        for cell in cells
        if plain_text(cell.source) not in given and not cell.source.startswith(GIVEN)
    ]


def prints(source):
    """Whether a cell of Python surely prints or shows something when it is run."""
    if source.lstrip().startswith("%%"):
        return False
    for node in parse(source) or ():
        if not isinstance(node, ast.Expr | ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        call = node.value
        name = getattr(call.func, "id", "")
        if name == "load_sign_mnist":
            return True
        if isinstance(node, ast.Assign):
            continue
        to_file = any(keyword.arg == "file" for keyword in call.keywords)
        if (name in SAYS and call.args and not to_file) or SHOWS.fullmatch(name):
            return True
        if getattr(call.func, "attr", "") in PRINTS:
            return True
    return False


def silent(cells):
    """(how many Cells should print, the numbers of those without any output)."""
    printing = [cell for cell in cells if cell.kind == "code" and prints(cell.source)]
    return len(printing), [cell.number for cell in printing if not cell.outputs]


def stubs(cells):
    """[(number, title)] of the tasks whose stub is still there."""
    found = [STUB.search(cell.source) for cell in cells if cell.kind == "code"]
    return [(int(stub[2]), stub[1].strip(" .")) for stub in found if stub]


def label_of(text):
    """What a question of a starter begins with, such as "Your answer to (a)"."""
    found = LABEL.match(text)
    return MARKS.sub("", (found[1] or found[2]) if found else text[:MAX_NAME]).strip(" .")


def without(text, sentences):
    """A text in one line, less marks of Markdown and some sentences."""
    text = f" {plain_text(MARKS.sub('', text))} "
    for sentence in sentences:
        text = text.replace(sentence, " ")
    return plain_text(text)


def sentences_of(texts):
    """The sentences of some texts that are long enough to tell, the longest first."""
    found = {
        part.strip()
        for text in texts
        for part in re.split(r"(?<=[.?!:])\s+", plain_text(MARKS.sub("", text)))
    }
    return sorted((part for part in found if len(part.split()) > 2), key=len, reverse=True)


def answers(cells, starter):
    """[{"label", "question", "text", "cell"}] of the starter's questions.

    The text is "" where nothing of the student's own stands there; cell is its number, or 0. None
    if the notebook shows none of the starter's questions and tasks.
    """
    given = [plain_text(text) for _, text in starter.cells]
    texts = [plain_text(cell.source) for cell in cells]
    bare = [without(text[:300], ()).lower() if text else "" for text in texts]
    known = set(given)
    labels = [label_of(starter.cells[place][1]) for place in starter.questions]
    tasks = {text for text in given if re.match(r"#+ Task \d", text)}
    found = {label: first_with(label, cells, bare) for label in labels}
    if not tasks & set(texts) and all(place is None for place in found.values()):
        return None
    common = sentences_of([text for kind, text in starter.cells if kind == "markdown"])
    gaps = gaps_of(given, texts)
    told = []
    for label, place in zip(labels, starter.questions, strict=True):
        at = found[label]
        span = range(at, len(cells)) if at is not None else gaps(place)
        parts: list[str] = []
        first = 0
        for i in span:
            kind, own = cells[i].kind, texts[i] not in known
            other = at is not None and i > at and any(i == f for f in found.values())
            if other or (at is not None and i > at and not (kind == "markdown" and own)):
                break
            text = without(cells[i].source, [*common, label]) if kind == "markdown" and own else ""
            if len(text.split()) >= (1 if parts else MIN_WORDS):
                parts.append(text)
                first = first or cells[i].number
        question = " ".join(map(plain_text, QUESTION.findall(starter.cells[place][1])))
        text = " ".join(parts)[:MAX_TEXT]
        told.append({"label": label, "question": question, "text": text, "cell": first})
    return told


def first_with(label, cells, bare):
    """The place of the first text cell that begins with a label, or None."""
    label = label.lower()
    places = (
        i for i, cell in enumerate(cells) if cell.kind == "markdown" and label in bare[i][:90]
    )
    return next(places, None)


def gaps_of(given, texts):
    """A function from the place of a cell of the starter to the places of what stands for it."""
    blocks = SequenceMatcher(None, given, texts, autojunk=False).get_matching_blocks()

    def gap(place):
        before = [b for b in blocks if b.a + b.size <= place and b.size]
        after = [b for b in blocks if b.a > place]
        start = before[-1].b + before[-1].size if before else 0
        return range(start, after[0].b if after else len(texts))

    return gap
