"""Mistakes that notebooks handed in often hold, found without running anything.

The code of the cells is followed in order, as it would run: each name stands for a `Value`, what
is known of an array, a table or a model. Functions of the notebook are followed where they are
called. What cannot be told gives no hint.
"""

import ast
import functools
import json
import re
import warnings
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

TEXTS = {
    "label_kept": "Look whether the column `label` is still among the pixels here: it is the "
    "first of the 785 columns.",
    "test_for_validation": "Look where the validation data of this training come from: they seem "
    "to be the test file, which should have no say before the end.",
    "scalar_argmax": "Look at what `argmax` is taken of here: the labels seem to be whole numbers, "
    "not one-hot, and the `argmax` of a single number is always 0.",
    "softmax_logits": "Look whether the loss fits the last layer: one of them seems to speak of "
    "logits and the other of probabilities (`softmax`, `from_logits`).",
    "strip_forgotten": "Look whether the wrappers of pruning or clustering were taken off this "
    "model before it is converted (`strip_pruning`, `strip_clustering`).",
    "test_examples": "Look where the examples for calibration come from: they seem to be images "
    "of the test file.",
}
MAX_CODE, MAX_REPAIRED, MAX_STEPS, MAX_STATEMENT = 400_000, 30_000, 100_000, 15_000
MAX_DEPTH, MAX_CALLS, MAX_ITEMS = 90, 6, 12

MAGIC = re.compile(r"^(\s*)(?:[\w, ]+=\s*(?:%[a-zA-Z]|!)|%{1,2}[a-zA-Z]|!|\?|[\w.]+\?+\s*$).*")
OTHER_CODE = re.compile(r"%%(?!time|timeit|capture|prun|python\b|python3)")
TEST = re.compile(r"(?<![a-z])(?:[xy]|ds)?_?test", re.IGNORECASE)
TRAIN = re.compile("train", re.IGNORECASE)
LABELS = re.compile(
    r"(?:y|labels?|targets?)_?(?:tr|te|va|true)\w*|(?:tr|te|va)\w*_(?:y|labels?|targets?)|labels?",
    re.IGNORECASE,
)
ENCODED = re.compile(
    r"to_categorical|one_?hot|Binarizer|binarize|get_dummies|\.eye|identity"
    r"|(?<!sparse_)categorical_crossentropy|(?<!Sparse)CategoricalCrossentropy",
    re.IGNORECASE,
)

UNKNOWN = "", "name", "bound"
WRAP = {"prune_low_magnitude": "pruning", "cluster_weights": "clustering"}
STRIP = {"strip_pruning": "pruning", "strip_clustering": "clustering"}
READ = {"read_csv", "read_table", "loadtxt", "genfromtxt", "reader"}
ONE_HOT = {"to_categorical", "one_hot", "get_dummies", "label_binarize"}
ENCODERS = {"LabelBinarizer", "OneHotEncoder", "CategoryEncoding"}
INDICES = {"arange", "permutation", "argsort", "flatnonzero", "randint", "integers", "nonzero"}
NO_DATA = {"len", "range", "print", "zeros", "ones", "empty", "zeros_like", "unique", "bincount"}
SCORES = {"predict", "predict_on_batch", "get_tensor", "predict_proba"}
JOINS = {"concat", "concatenate", "vstack", "stack", "hstack", "column_stack"}
PASSING = {"Dropout", "Flatten", "Reshape", "GlobalAveragePooling2D", "ActivityRegularization"}
SAME_MODEL = {"quantize_model", "quantize_apply", "quantize_annotate_model", "clone_model"}
ENTROPY = re.compile(r"(?:sparse)?categoricalcrossentropy")
# what gives back what it takes, as far as matters here
KEEPING = {
    *("array", "asarray", "ascontiguousarray", "asfortranarray", "shuffle", "float32", "float64"),
    *("int", "int32", "int64", "convert_to_tensor", "cast", "constant", "list", "tuple", "sorted"),
    *("iter", "next", "DataFrame", "Series", "reshape", "expand_dims", "squeeze", "ravel", "copy"),
    *("deepcopy", "tqdm", "choice", "resample", "to_numpy", "astype", "sample", "reset_index"),
    *("head", "tail", "dropna", "fillna", "numpy", "sort_values", "query", "tolist", "flatten"),
    *("batch", "take", "prefetch", "cache", "repeat", "skip", "unbatch", "replace", "clip"),
    *("strip", "rstrip", "readlines", "splitlines", "read", "where", "searchsorted", "to_frame"),
    *("as_numpy_iterator", "drop_duplicates", "Path", "str", "RepresentativeDataset", "round"),
    *("item", "open", "islice", "stop_gradient", "Variable", "DataLoader", "reversed", "to_list"),
    *("get_concrete_function", "function", "resolve", "eval", "maximum", "minimum", "gather"),
}


class Hint(NamedTuple):
    """Where a notebook should be looked at again: `mistake` is a key of TEXTS, `cell` counts all
    cells from 1, `line` the lines of the cell from 1, and `text` is a sentence."""

    mistake: str
    cell: int
    line: int
    text: str


@dataclass(eq=False)
class Value:
    """What is known of a value.

    kind: "table" and "row" (of a CSV file), "labels", "one-hot", "net" (a layer, a tensor or a
    model), "loss", "stream" (what is iterated), "list", "dict", "const" and so on; "" is unknown
    and "unsure" may be one of several. files: the files that it comes from, of "train" and
    "test". columns: "all" with the label first, "last" with the label last, "pixels" or "".
    act: "softmax", "linear", "pass" for a layer that changes neither, or "". name: the name that
    an unknown value had. scaled: [cell, line, whether it may be a mistake] of a whole table that
    was divided by 255.
    """

    kind: str = ""
    const: Any = None
    files: frozenset = frozenset()
    columns: str = ""
    act: str = ""
    wrapped: frozenset = frozenset()
    some_wrapped: frozenset = frozenset()
    logits: bool | None = None
    items: Any = None
    base: Any = None
    name: str = ""
    scaled: list | None = None
    node: Any = None
    scope: Any = None
    cell: int = 0


@dataclass
class Scope:
    """The names of a function or of the notebook; outer: those of its own that lie in `top`."""

    names: dict
    parent: "Scope | None" = None
    outer: set = field(default_factory=set)
    results: list = field(default_factory=list)
    yields: list = field(default_factory=list)


UNSURE = Value("unsure")


def find_mistakes(content):
    """Hints at mistakes in the bytes of a notebook, in its order; [] for what is no notebook."""
    cells = read_code(content)
    reader = Reader(bool(ENCODED.search("\n".join(text for _, text in cells))))
    for number, text in cells:
        reader.follow_cell(number, parse(text))
    reader.finish()
    return sorted(reader.hints.values(), key=lambda hint: hint[1:3])


def read_code(content):
    """[(number, text)] of the code cells of a notebook, at most MAX_CODE characters in all."""
    try:
        cells = json.loads(content)["cells"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    found, left = [], MAX_CODE
    for number, cell in enumerate(cells if isinstance(cells, list) else [], 1):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source", "")
        lines = source if isinstance(source, list) else [source]
        text = "".join(line for line in lines if isinstance(line, str))
        if len(text) <= left and not OTHER_CODE.match(text.lstrip()):
            found.append((number, text))
            left -= len(text)
    return found


def parse(text):
    """The statements of a cell; magics and a few lines that are no Python become `pass`."""
    lines = text.split("\n")
    for attempt in range(6):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse("\n".join(lines)).body
        except SyntaxError as error:
            if len(text) > MAX_REPAIRED or not error.lineno:
                return []
            if attempt == 0:
                lines = [MAGIC.sub(r"\1pass", line) for line in lines]
            else:
                leave_out(lines, min(error.lineno, len(lines)) - 1)
        except (ValueError, RecursionError, MemoryError):
            return []
    return []


def leave_out(lines, index):
    """Puts `pass` for a line, in place, and nothing for the block below it."""
    depth = len(lines[index]) - len(lines[index].lstrip())
    lines[index] = " " * depth + "pass"
    for below in range(index + 1, len(lines)):
        if lines[below].strip() and len(lines[below]) - len(lines[below].lstrip()) <= depth:
            break
        lines[below] = ""


@functools.lru_cache(4096)
def files_named(text):
    """The files that a path or a name speaks of: frozenset of "train" and "test"."""
    for part in (re.split(r"[/\\]", text[-300:])[-1], text[-300:]):
        found = {"train"} if TRAIN.search(part) else set()
        found |= {"test"} if TEST.search(part) else set()
        if found:
            return frozenset(found)
    return frozenset()


def constant(value):
    return Value("const", value, files_named(value) if isinstance(value, str) else frozenset())


def parts(value):
    """The Values in a container, or none."""
    items = value.items.values() if isinstance(value.items, dict) else value.items or ()
    return [*items, value.base] if value.kind == "stream" else list(items)


def files_of(value, depth=0):
    """All files that a Value or what it holds comes from."""
    inner = [files_of(p, depth + 1) for p in parts(value)[:MAX_ITEMS]] if depth < 3 else []
    return value.files.union(*inner)


def mixed(files):
    """Files, marked so that a name such as x_test no longer decides between them."""
    return files if len(files) == 1 else files | {"split"}


def from_test(value, depth=0):
    """Whether a Value, or one that it holds, comes from the test file alone."""
    if parts(value) and depth < 3:
        return any(from_test(part, depth + 1) for part in parts(value)[:MAX_ITEMS])
    return value.files == {"test"}


def join(values, depth=0):
    """One Value for several that may stand here: what they have in common."""
    first, *rest = values or [UNSURE]
    for other in rest:
        if other is first:
            continue
        files = first.files | other.files
        alike = first.kind == other.kind
        if alike and first.kind == "const" and first.const != other.const:
            alike = bool(files) and first.files == other.files
        if alike and first.kind in ("function", "class", "dict", "object", "partial", "bound"):
            alike = False
        if alike and first.items is not None:
            alike = depth < 3 and len(first.items) == len(other.items or ()) <= MAX_ITEMS
            alike = alike and first.kind == "list"
        if not alike:
            first = Value("unsure", files=files)
            continue
        first = replace(
            first,
            files=files,
            columns=first.columns if first.columns == other.columns else "",
            act=first.act if first.act == other.act else "",
            wrapped=first.wrapped & other.wrapped,
            logits=first.logits if first.logits == other.logits else None,
        )
        if first.items is not None:
            first.items = [
                join(pair, depth + 1) for pair in zip(first.items, other.items, strict=True)
            ]
        elif first.kind == "stream":
            first.base = join([first.base, other.base], depth + 1) if depth < 3 else UNSURE
    return first


def element(value):
    """What iterating over a Value gives."""
    if value.kind == "stream":
        return value.base
    if value.kind == "list":
        return join(value.items)
    if value.kind == "dict":
        return join([constant(key) for key in value.items])
    kind = {"table": "row", "row": "", "const": "", "net": "unsure"}.get(value.kind, value.kind)
    return replace(value, kind=kind, const=None)


def iterated(value):
    """The Values that a loop over a Value meets, one for all where they cannot be told apart."""
    if value.kind == "list" and 0 < len(value.items) <= MAX_ITEMS:
        return list(value.items)
    if value.kind == "dict" and 0 < len(value.items) <= MAX_ITEMS:
        return [constant(key) for key in value.items]
    return [element(value)]


def unpacked(value, targets):
    """The Values that the targets of an assignment take from one; a starred takes a list."""
    count = len(targets)
    star = next((i for i, t in enumerate(targets) if isinstance(t, ast.Starred)), None)
    if value.kind == "list" and star is None and len(value.items) == count:
        return value.items
    if value.kind == "row" and star == 1 and count == 2 and value.columns == "all":
        return [Value("labels", files=value.files), pixels(value)]
    each = element(value) if value.kind in ("list", "unsure") else replace(value, kind="")
    return [element(value) if value.kind == "stream" else each for _ in targets]


def stacked(value):
    """A list of rows as a table; any other Value as it is."""
    items = parts(value)
    if items and all(item.kind in ("row", "table", "labels", "one-hot") for item in items):
        whole = join(items)
        return replace(whole, kind="table") if whole.kind == "row" else whole
    return value


def pixels(value, columns="pixels"):
    """A table or a row after its label was taken away."""
    if value.scaled:
        value.scaled[2] = False
    return replace(value, columns=columns, scaled=None)


def truth(value):
    """Whether a Value is true: a bool, or None where it cannot be told."""
    if value.kind == "const":
        return bool(value.const)
    if value.kind in ("list", "dict"):
        return True if value.items else None
    return True if value.kind in ("function", "partial", "net", "loss") else None


def activation(value):
    """What an activation makes of the last layer: "softmax", "linear" or ""."""
    named = value.const if value.kind in ("const", "name") else "?"
    if named is None or named == "linear":
        return "linear"
    return "softmax" if "softmax" in str(named) and "log" not in str(named) else ""


class Reader:
    """Follows the code of a notebook. hints: (mistake, cell, line) -> Hint.

    doubt: 0 where the code surely runs, 1 where it may, 2 where it or another branch does.
    """

    def __init__(self, encoded):
        self.encoded, self.hints = encoded, {}
        self.top, self.cell, self.doubt = Scope({}), 0, 0
        self.steps = self.limit = self.depth = 0
        self.active, self.functions, self.called = [], [], set()
        self.saved, self.scaled = {}, []

    def hint(self, mistake, node):
        place = mistake, self.cell, node.lineno
        self.hints[place] = Hint(*place, TEXTS[mistake])

    def follow_cell(self, number, statements):
        for statement in statements:
            self.cell, self.doubt, self.depth, self.active = number, 0, 0, []
            self.limit = min(self.steps + MAX_STATEMENT, MAX_STEPS)
            try:
                self.statement(statement, self.top)
            except RecursionError:
                continue

    def finish(self):
        """Follows the functions that nothing called; then tells of tables scaled as a whole."""
        for function in self.functions:
            if function.node not in self.called:
                self.follow_cell(function.cell, [])
                self.limit = min(self.steps + MAX_STATEMENT, MAX_STEPS)
                try:
                    self.call_function(function, [], {})
                except RecursionError:
                    continue
        for cell, node, kept in self.scaled:
            self.cell = cell
            if kept:
                self.hint("label_kept", node)

    # statements

    def block(self, statements, scope):
        """Follows statements; returns whether the code after them cannot be reached."""
        return any(self.statement(statement, scope) for statement in statements)

    def statement(self, node, scope):
        """Follows one statement; returns whether the code after it cannot be reached."""
        method = getattr(self, f"do_{type(node).__name__.lower()}", None)
        self.steps += 1
        if self.steps <= self.limit and method:
            return bool(method(node, scope))
        return False

    def do_expr(self, node, scope):
        self.value(node.value, scope)

    def do_assign(self, node, scope):
        value = self.value(node.value, scope)
        for target in node.targets:
            self.assign(target, value, scope)

    def do_annassign(self, node, scope):
        if node.value:
            self.assign(node.target, self.value(node.value, scope), scope)

    def do_augassign(self, node, scope):
        whole = ast.copy_location(ast.BinOp(node.target, node.op, node.value), node)
        self.assign(node.target, self.value(whole, scope), scope)

    def do_delete(self, node, scope):
        for target in node.targets:
            if isinstance(target, ast.Subscript):
                table = self.value(target.value, scope)
                if self.value(target.slice, scope).const == "label":
                    self.take_label(table)

    def do_functiondef(self, node, scope):
        function = Value("function", node=node, scope=scope, cell=self.cell)
        scope.names[node.name] = function
        if scope is self.top:
            self.functions.append(function)

    def do_classdef(self, node, scope):
        methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
        known = {m.name: Value("function", node=m, scope=scope, cell=self.cell) for m in methods}
        scope.names[node.name] = Value("class", node=node, items=known)

    def do_import(self, node, scope):
        for alias in node.names:
            own = alias.asname or alias.name.split(".")[0]
            scope.names[own] = Value("name", alias.name.split(".")[-1], name=own)

    do_importfrom = do_import

    def do_global(self, node, scope):
        scope.outer.update(node.names)

    def do_return(self, node, scope):
        scope.results.append(self.value(node.value, scope) if node.value else constant(None))
        return True

    def do_raise(self, node, scope):
        return scope is not self.top

    def do_continue(self, node, scope):
        return True

    do_break = do_continue

    def do_with(self, node, scope):
        for item in node.items:
            value = self.value(item.context_expr, scope)
            if item.optional_vars:
                self.assign(item.optional_vars, value, scope)
        return self.block(node.body, scope)

    def do_for(self, node, scope):
        for value in iterated(self.value(node.iter, scope)):
            self.assign(node.target, value, scope)
            self.block(node.body, scope)
        return self.block(node.orelse, scope)

    def do_while(self, node, scope):
        self.value(node.test, scope)
        self.block(node.body, scope)

    def do_try(self, node, scope):
        ended = self.block(node.body, scope)
        kept, doubt = dict(scope.names), self.doubt
        self.doubt = 2
        for handler in node.handlers:
            self.block(handler.body, scope)
            for name in kept.keys() & scope.names.keys():
                scope.names[name] = kept[name]
        self.doubt = doubt
        ended = ended or self.block(node.orelse, scope)
        return self.block(node.finalbody, scope) or ended

    def do_if(self, node, scope):
        known = truth(self.value(node.test, scope))
        if known is not None:
            return self.block(node.body if known else node.orelse, scope)
        before, doubt, after = scope.names, self.doubt, []
        leaves = isinstance(node.body[-1], ast.Return | ast.Continue)
        self.doubt = max(doubt, 2 if node.orelse or leaves else 1)
        for statements in (node.body, node.orelse):
            scope.names = dict(before)
            if not self.block(statements, scope):
                after.append(scope.names)
        self.doubt = doubt
        names = set().union(*after)
        scope.names = {n: join([some[n] for some in after if n in some]) for n in names} or before
        return not after

    # assignments

    def assign(self, target, value, scope):
        if isinstance(target, ast.Name):
            home = self.top if target.id in scope.outer else scope
            home.names[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            for part, each in zip(target.elts, unpacked(value, target.elts), strict=True):
                self.assign(part, each, scope)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, value, scope)
        elif isinstance(target, ast.Attribute):
            self.set_attribute(self.value(target.value, scope), target.attr, value, target)
        elif isinstance(target, ast.Subscript):
            whole, key = self.value(target.value, scope), self.value(target.slice, scope)
            if whole.kind == "table" and isinstance(key.const, str):
                whole.columns = {"pixels": "last"}.get(whole.columns, whole.columns)
            elif whole.kind == "dict" and len(whole.items) < 99:
                named = key.const if key.kind == "const" and key.const is not None else id(key)
                whole.items[named] = UNSURE if self.doubt else value

    def set_attribute(self, value, name, content, node):
        if name == "representative_dataset":
            self.check_examples(content, node)
        elif name == "activation" and value.kind == "net":
            (value.base or value).act = activation(content)
        elif value.kind == "object":
            value.items[name] = UNSURE if self.doubt else content

    def take_label(self, table, columns="pixels"):
        """Takes the label out of a table in place; returns it."""
        if table.scaled:
            table.scaled[2] = False
        table.scaled = None
        if table.kind in ("table", "row"):
            table.columns = "" if self.doubt else columns
        return Value("labels", files=table.files)

    # expressions

    def value(self, node, scope):
        """The Value of an expression."""
        self.steps += 1
        method = getattr(self, f"of_{type(node).__name__.lower()}", None)
        if self.steps > self.limit or self.depth > MAX_DEPTH or not method:
            return UNSURE
        self.depth += 1
        try:
            return method(node, scope) or Value()
        finally:
            self.depth -= 1

    def of_constant(self, node, scope):
        return constant(node.value)

    def of_name(self, node, scope):
        place = scope
        while place and node.id not in place.names:
            place = place.parent
        if place is None:
            known = constant("__main__") if node.id == "__name__" else Value("name", node.id)
        else:
            known = place.names[node.id]
        return self.named(known, node.id)

    def named(self, value, name):
        """A Value with what its name tells where nothing else is known."""
        weak = not value.files or value.files == {"train", "test"}
        if value.kind in (*UNKNOWN, "table", "labels", "one-hot") and weak:
            files = files_named(name) or value.files
            if value.kind == "table":
                value.files = files  # in place: a pop must reach the table itself
            elif files != value.files or not value.name:
                return replace(value, files=files, name=value.name or name)
        return value

    def of_namedexpr(self, node, scope):
        value = self.value(node.value, scope)
        self.assign(node.target, value, scope)
        return value

    def of_joinedstr(self, node, scope):
        known = [self.value(part, scope) for part in node.values]
        text = "".join(str(part.const) for part in known if part.kind == "const")
        if all(part.kind == "const" for part in known):
            return constant(text[:1000])
        return Value(files=files_named(text) or frozenset().union(*(p.files for p in known)))

    def of_formattedvalue(self, node, scope):
        return self.value(node.value, scope)

    def of_tuple(self, node, scope):
        items: list = []
        for part in node.elts[:200]:
            value = self.value(part, scope)
            if isinstance(part, ast.Starred):
                items += iterated(value)
            else:
                items.append(value)
        return Value("list", items=items)

    of_list = of_set = of_tuple

    def of_starred(self, node, scope):
        return self.value(node.value, scope)

    def of_dict(self, node, scope):
        items: dict = {}
        for key, content in list(zip(node.keys, node.values, strict=True))[:200]:
            value = self.value(content, scope)
            if key is None:
                items |= value.items if value.kind == "dict" else {"**": UNSURE}
                continue
            name = self.value(key, scope)
            items[name.const if name.kind == "const" else id(name)] = value
        return Value("dict", items=items)

    def of_lambda(self, node, scope):
        return Value("function", node=node, scope=scope, cell=self.cell)

    def of_ifexp(self, node, scope):
        known = truth(self.value(node.test, scope))
        if known is not None:
            return self.value(node.body if known else node.orelse, scope)
        doubt, self.doubt = self.doubt, 2
        both = [self.value(node.body, scope), self.value(node.orelse, scope)]
        self.doubt = doubt
        return join(both)

    def of_boolop(self, node, scope):
        values = [self.value(part, scope) for part in node.values]
        ends = isinstance(node.op, ast.Or)
        for value in values:
            if truth(value) is ends:
                return value
            if truth(value) is None:
                return join(values)
        return values[-1]

    def of_unaryop(self, node, scope):
        value = self.value(node.operand, scope)
        if isinstance(node.op, ast.Not):
            return Value() if truth(value) is None else constant(not truth(value))
        if isinstance(node.op, ast.USub) and isinstance(value.const, int | float):
            return constant(-value.const)
        return value

    def of_compare(self, node, scope):
        left, right = self.value(node.left, scope), self.value(node.comparators[0], scope)
        negated = isinstance(node.ops[0], ast.NotEq | ast.IsNot | ast.NotIn)
        if isinstance(node.ops[0], ast.In | ast.NotIn):
            known = left.kind == "const" and right.kind in ("list", "dict")
            known = known and all(item.kind == "const" for item in parts(right))
            keys = right.items if right.kind == "dict" else [item.const for item in parts(right)]
            return constant((left.const in keys) != negated) if known else Value("mask")
        if isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.Is | ast.IsNot):
            if left.kind == right.kind == "const":
                return constant((left.const == right.const) != negated)
            vague = (*UNKNOWN, "unsure", "labels", "row", "table")
            if right.kind == "const" and right.const is None and left.kind not in vague:
                return constant(negated)
        return Value("mask")

    def of_binop(self, node, scope):
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        if left.kind == right.kind == "const":
            return combined(left.const, right.const, node.op)
        if left.kind == right.kind == "list" and isinstance(node.op, ast.Add):
            return Value("list", items=(left.items + right.items)[:200])
        if right.kind == "list" and any(item.const == "label" for item in parts(right)):
            return Value("row", columns="last")  # names of columns, "label" after the others
        if left.kind == "const" and isinstance(left.const, int | float):
            left, right = right, left
        if left.kind == "table" and left.columns == "all" and isinstance(right.const, int | float):
            divides = isinstance(node.op, ast.Div) and 200 < right.const < 300
            if divides or (isinstance(node.op, ast.Mult) and 0 < right.const < 0.01):
                self.scaled.append([self.cell, node, True])
                return replace(left, scaled=self.scaled[-1])
        if left.kind in ("table", "labels", "one-hot"):
            return replace(left)
        return Value(files=right.files or left.files, name=left.name)

    def of_attribute(self, node, scope):
        base, name = self.value(node.value, scope), node.attr
        if base.kind == "name":
            return self.named(Value("name", name), name)
        if base.kind == "object" and base.items is not None:
            if name in base.items:
                return self.named(base.items[name], name)
            method = base.base.items.get(name) if base.base else None
            if method:
                static = "staticmethod" in map(ast.unparse, method.node.decorator_list)
                return method if static else Value("partial", base=method, items=[base])
        if base.kind == "class" and name in base.items:
            return base.items[name]
        if name in ("iloc", "loc") or (name == "values" and base.kind != "dict"):
            return base
        if base.kind in ("table", "row"):
            if name == "label":
                return Value("labels", files=base.files)
            if name == "columns":
                return Value("row", columns=base.columns)
            if name == "shape":
                width = {"all": 785, "last": 785, "pixels": 784}.get(base.columns)
                return Value("list", items=[Value(), constant(width) if width else Value()])
        if base.kind == "net" and name in ("layers", "output", "outputs"):
            last = base if name != "layers" and base.base is None else Value("net", base=base)
            return last if name != "layers" else replace(last, const="layers")
        if base.kind in UNKNOWN:
            bound = Value("bound", name, base.files, base=base, name=name)
            return self.named(bound, name)
        return Value("bound", name, files_of(base) if name != "shape" else frozenset(), base=base)

    def of_subscript(self, node, scope):
        base = self.value(node.value, scope)
        if base.kind == "table":
            return self.of_table(base, node, scope)
        if base.kind == "row":
            return self.columns(base, node.slice, scope, node)
        key = self.value(node.slice, scope)
        if base.kind == "eye":
            return Value("one-hot", files=key.files)
        if base.kind == "net" and base.const == "layers":
            last = key.const == -1
            return Value("net", act=base.base.act if last else "", base=base.base if last else None)
        if base.kind == "dict":
            known = key.kind == "const" and key.const in base.items
            return base.items[key.const] if known else join(parts(base))
        if base.kind == "list":
            if isinstance(key.const, int) and -len(base.items) <= key.const < len(base.items):
                return base.items[key.const]
            return base if isinstance(node.slice, ast.Slice) else join(base.items)
        if base.kind in UNKNOWN and isinstance(key.const, str):
            return self.named(Value(files=base.files), key.const)
        kind = base.kind if base.kind in ("labels", "one-hot", "stream", "unsure") else ""
        return replace(base, kind=kind)

    def of_slice(self, node, scope):
        return Value("slice")

    def of_table(self, table, node, scope):
        """What an index takes out of a table."""
        if isinstance(node.slice, ast.Tuple) and len(node.slice.elts) == 2:
            return self.columns(table, node.slice.elts[1], scope, node)
        if isinstance(node.slice, ast.Slice):
            return replace(table)
        key = self.value(node.slice, scope)
        if key.kind == "const" and isinstance(key.const, int):
            return replace(table, kind="row")
        if key.kind in ("mask", "index", "slice"):
            return replace(table)
        if key.kind in ("name", "bound", "") and key.files:
            return replace(table)  # rows named by a split
        return self.columns(table, node.slice, scope, node)

    def columns(self, table, index, scope, node):
        """The columns of a table, or the entries of a row, that an index names."""
        if isinstance(index, ast.Slice):
            low, high = (self.value(e, scope) if e else constant(None)
                         for e in (index.lower, index.upper))  # fmt: skip
            if {low.kind, high.kind} != {"const"}:
                return pixels(table, "")
            if isinstance(low.const, str):
                return pixels(table) if low.const != "label" else replace(table)
            if low.const:
                return pixels(table, "pixels" if table.columns != "last" else "")
            if high.const is None or (isinstance(high.const, int) and high.const >= 785):
                return replace(table)
            if high.const in (784, -1):
                if table.columns == "all":
                    self.hint("label_kept", node)
                return pixels(table, "" if table.columns == "all" else "pixels")
            return Value("labels", files=table.files) if high.const == 1 else Value()
        key = self.value(index, scope)
        if key.kind == "list":
            names = {item.const for item in parts(key)}
            if names == {"label"} or names == {0}:
                return Value("labels", files=table.files)
            return pixels(table, "" if "label" in names else "pixels")
        if key.kind == "row":
            return pixels(table, key.columns)
        if key.kind == "mask":
            return pixels(table)
        place = {"all": 0, "last": -1}.get(table.columns)
        if key.kind == "const" and key.const in ("label", place):
            return Value("labels", files=table.files)
        return Value(files=table.files) if key.kind == "const" else pixels(table, "")

    def of_listcomp(self, node, scope):
        inner = Scope(dict(scope.names), scope.parent, scope.outer, scope.results, scope.yields)
        source = self.value(node.generators[0].iter, scope)
        if source.kind == "row" and len(node.generators) == 1:
            return pixels(source, "") if node.generators[0].ifs else source
        values: list = []
        exact = len(node.generators) == 1 and not node.generators[0].ifs
        for each in iterated(source) if exact else [element(source)]:
            self.assign(node.generators[0].target, each, inner)
            for more in node.generators[1:]:
                self.assign(more.target, element(self.value(more.iter, inner)), inner)
            if isinstance(node, ast.DictComp):
                key = self.value(node.key, inner)
                name = key.const if key.kind == "const" else id(key)
                values.append((name, self.value(node.value, inner)))
            else:
                values.append(self.value(node.elt, inner))
        if isinstance(node, ast.DictComp):
            return Value("dict", items=dict(values))
        known = exact and source.kind in ("list", "dict")
        return Value("list", items=values) if known else Value("stream", base=join(values))

    of_generatorexp = of_setcomp = of_dictcomp = of_listcomp

    def of_yield(self, node, scope):
        scope.yields.append(self.value(node.value, scope) if node.value else Value())

    def of_yieldfrom(self, node, scope):
        scope.yields.append(element(self.value(node.value, scope)))

    # calls

    def of_call(self, node, scope):
        function = self.value(node.func, scope)
        args = self.of_tuple(ast.Tuple(node.args), scope).items
        options: dict = {}
        for keyword in node.keywords:
            value = self.value(keyword.value, scope)
            if keyword.arg:
                options[keyword.arg] = value
            elif value.kind == "dict":
                options |= {str(name): item for name, item in value.items.items()}
            else:
                options["**"] = UNSURE
        return self.apply(function, args, options, node)

    def apply(self, function, args, options, node):
        """The Value that a call gives."""
        if function.kind == "function":
            return self.call_function(function, args, options)
        if function.kind == "partial":
            options = (function.scope or {}) | options
            return self.apply(function.base, [*function.items, *args], options, node)
        if function.kind == "class":
            return self.make_object(function, args, options)
        if "representative_dataset" in options:
            self.check_examples(options["representative_dataset"], node)
        if "validation_data" in options and from_test(options["validation_data"]):
            self.hint("test_for_validation", node)
        if function.kind == "name":
            return self.library(function.const, args, options, node)
        if function.kind == "bound":
            return self.method(function.base, function.const, args, options, node)
        if function.kind == "net" and args:
            act = args[0].act if function.act == "pass" else function.act
            return Value("net", act=act, wrapped=function.wrapped | args[0].wrapped)
        if function.kind == "loss":
            self.check_loss(args[1] if len(args) > 1 else Value(), function, node)
        if function.kind == "encoder":
            return Value("one-hot")
        return self.unknown(args, options)

    def unknown(self, args, options, base=UNSURE):
        """What a call gives of which nothing is known."""
        given = [*args, *options.values()]
        for value in given:
            for part in (value, *parts(value)):
                if part.scaled:
                    part.scaled[2] = False
        return Value(files=base.files.union(*map(files_of, given)))

    def call_function(self, function, args, options):
        node = function.node
        self.called.add(node)
        if node in self.active or len(self.active) >= MAX_CALLS:
            return UNSURE
        scope = Scope(self.arguments(function, args, options), function.scope)
        outside, self.cell = self.cell, function.cell
        self.active.append(node)
        try:
            if isinstance(node, ast.Lambda):
                scope.results.append(self.value(node.body, scope))
            else:
                self.block(node.body, scope)
        finally:
            self.active.pop()
            self.cell = outside
        if scope.yields:
            return Value("stream", base=join(scope.yields))
        result = join(scope.results or [constant(None)])
        some = frozenset().union(*(value.wrapped for value in scope.results))
        if some and not result.wrapped:
            result = replace(result, some_wrapped=some)  # as a clone_function gives
        return result

    def arguments(self, function, args, options):
        """Name -> Value of the parameters in a call; those not given are unsure."""
        given = function.node.args
        names = [arg.arg for arg in [*given.posonlyargs, *given.args]]
        bound = {name: UNSURE for name in [*names, *(arg.arg for arg in given.kwonlyargs)]}
        defaults = [*zip(names[::-1], given.defaults[::-1], strict=False)]
        defaults += zip((arg.arg for arg in given.kwonlyargs), given.kw_defaults, strict=True)
        for name, default in defaults:
            if default is not None and name not in options:
                bound[name] = self.value(default, function.scope)
        bound |= dict(zip(names, args, strict=False))
        bound |= {name: value for name, value in options.items() if name in bound}
        if given.vararg:
            bound[given.vararg.arg] = Value("list", items=args[len(names) :])
        if given.kwarg:
            rest = {name: value for name, value in options.items() if name not in bound}
            bound[given.kwarg.arg] = Value("dict", items=rest)
        return bound

    def make_object(self, known, args, options):
        fields = [item for item in known.node.body if isinstance(item, ast.AnnAssign)]
        names = [item.target.id for item in fields if isinstance(item.target, ast.Name)]
        made = Value("object", base=known, items=dict(zip(names, args, strict=False)) | options)
        if "__init__" in known.items:
            made.items = {}
            self.call_function(known.items["__init__"], [made, *args], options)
        return made

    def library(self, name, args, options, node):
        """The Value that a function or class gives which the notebook does not define."""
        given = [*args, *options.values()]
        first = given[0] if given else Value()
        if name in WRAP:
            wrapped = first.wrapped | {WRAP[name]}
            return replace(first, kind="net", wrapped=wrapped, base=None, items=None)
        if name in STRIP:
            return replace(first, kind="net", wrapped=first.wrapped - {STRIP[name]})
        if name in ("Sequential", "Model", "Functional"):
            return self.make_model(args, options)
        if name in SAME_MODEL:
            return self.clone(first, options, node)
        if name in ("Input", "InputLayer") or "input_shape" in options or "input_dim" in options:
            shape = options.get("input_shape") or options.get("input_dim") or first
            if 785 in [shape.const, *(part.const for part in parts(shape))]:
                self.hint("label_kept", node)
        if name.endswith(("Dense", "Conv2D", "Activation", "Softmax")) or name in PASSING:
            return self.make_layer(name, args, options)
        if name == "softmax":
            return Value("net", act="softmax")
        if ENTROPY.fullmatch(name.replace("_", "").lower()) or name.endswith("_with_logits"):
            return self.make_loss(name, args, options, node)
        if name in ("from_keras_model", "from_saved_model", "from_concrete_functions"):
            model = given[-1] if name == "from_concrete_functions" and given else first
            model = self.saved.get(path_key(first), first) if name == "from_saved_model" else model
            if model.wrapped and self.doubt < 2:
                self.hint("strip_forgotten", node)
            return Value("converter")
        if name in ("save", "save_model") and len(args) > 1:
            self.saved[path_key(args[1])] = replace(first, scope=args[1])
        elif name == "load_model":
            return replace(self.saved.get(path_key(first), Value("net")))
        if name in READ:
            return read_table(first, options)
        if name == "train_test_split":
            # "split": a half that is called x_test need not be of the test file
            halves = [replace(a, files=mixed(files_of(a))) for a in args]
            return Value("list", items=[replace(half) for half in halves for _ in range(2)])
        if name == "partial":
            return Value("partial", base=first, items=args[1:], scope=options)
        if name == "setattr" and len(args) == 3:
            return self.set_attribute(args[0], args[1].const, args[2], node)
        if name == "dict":
            return Value("dict", items={**(first.items if first.kind == "dict" else {}), **options})
        return self.array_function(name, args, options, node, first)

    def array_function(self, name, args, options, node, first):
        """The Value that a function of NumPy, TensorFlow, pandas or Python gives."""
        if name == "argmax":
            self.check_argmax(first, node)
            return Value("scores")
        if name in ONE_HOT or (name == "gather" and first.kind == "eye"):
            return Value("one-hot", files=files_of(first))
        if name in ENCODERS or name in ("eye", "identity") or name in INDICES:
            kind = "encoder" if name in ENCODERS else "index" if name in INDICES else "eye"
            if name == "permutation" and first.kind in ("table", "labels"):
                return replace(first)
            return Value(kind)
        if name in NO_DATA:
            return Value("array")
        if name in SCORES:
            return Value("scores")
        if name == "zip":
            return Value("stream", base=Value("list", items=[element(a) for a in args]))
        if name == "enumerate":
            known = first.kind == "list" and len(first.items) <= MAX_ITEMS
            pairs = [Value("list", items=[Value("array"), each]) for each in iterated(first)]
            return Value("list", items=pairs) if known else Value("stream", base=pairs[0])
        if name == "map" and len(args) == 2:
            if args[1].kind == "row":
                return args[1]
            each = [self.apply(args[0], [item], {}, node) for item in iterated(args[1])]
            known = args[1].kind == "list"
            return Value("list", items=each) if known else Value("stream", base=join(each))
        if name == "from_tensor_slices":
            each = [element(part) for part in parts(first)]
            return Value("stream", base=Value("list", items=each) if each else element(first))
        if name == "from_generator" and first.kind in ("function", "partial"):
            return self.apply(first, [], {}, node)
        if name in JOINS:
            beside = options.get("axis", UNSURE).const in (1, -1)
            beside = beside or name in ("hstack", "column_stack")
            whole = join(parts(first)) if parts(first) else first
            kind = "table" if whole.kind == "row" else whole.kind
            whole = replace(whole, kind=kind, files=mixed(files_of(first)))
            return pixels(whole, "") if beside else whole
        if first.kind == "table" and name in ("delete", "roll"):
            return pixels(first, "pixels" if name == "delete" else "last")
        if first.kind == "table" and name in ("split", "hsplit"):
            return Value("list", items=[Value("labels", files=first.files), pixels(first)])
        if name in ("next", "choice", "sample") and first.kind in ("stream", "list", "file"):
            return element(first)
        if name == "open":
            return Value("file", files=first.files)
        if name == "shuffle" and len(args) > 1:
            return Value("list", items=list(args))
        if name in KEEPING or name in ("divide", "multiply"):
            same = next((a for a in args if a.kind in ("table", "labels", "one-hot")), first)
            if name == "reshape":
                self.check_reshape(same, args[1:], node)
            return replace(stacked(same)) if same.kind != "list" else stacked(same)
        if first.kind == "loss":  # a mean of it
            return first
        if name in ("join", "joinpath") and args:
            named = [value for value in args if value.files]
            return named[-1] if named else args[-1]
        return self.unknown(args, options)

    def method(self, base, name, args, options, node):
        """The Value that a method of a Value gives."""
        first = args[0] if args else next(iter(options.values()), Value())
        if name == "argmax":
            self.check_argmax(base, node)
            return Value("scores")
        if name in SCORES or name in ("fit", "evaluate"):
            if first.kind != "const" and (base.kind == "net" or len(args) > 1):
                self.check_pixels(options.get("x", first), node)
            return Value("scores")
        if base.kind == "net":
            return self.net_method(base, name, args, options, node)
        if base.kind in ("table", "row") and name in TABLE_METHODS:
            return self.table_method(base, name, args, options, first)
        if base.kind == "list" and name in ("append", "extend", "insert", "copy"):
            if name in ("append", "extend") and len(base.items) < 99:
                new = [first] if name == "append" else iterated(first)
                base.items += [UNSURE for _ in new] if self.doubt else new
            return base if name == "copy" else constant(None)
        if base.kind == "dict" and name in ("items", "values", "get", "pop", "update", "copy"):
            return self.dict_method(base, name, args, options)
        if base.kind == "encoder" and "transform" in name:
            return Value("one-hot", files=files_of(first))
        if name in ("fit_transform", "transform"):
            if first.kind == "table" and first.columns == "all":
                self.scaled.append([self.cell, node, True])
                return replace(first, scaled=self.scaled[-1])
            return replace(first)
        if base.kind == "file" and name in ("split", "reader"):
            comma = first.const == ","
            return Value("row", columns="all", files=base.files) if comma else replace(base)
        if base.kind == "stream" and name == "map":
            given = base.base.items if base.base.kind == "list" else [base.base]
            return Value("stream", base=self.apply(first, list(given), {}, node))
        if base.kind == "labels" and name in ("map", "apply"):
            encodes = first.kind in UNKNOWN or first.kind == "function"
            return Value("unsure") if encodes and name == "apply" else replace(base)
        if base.kind == "const" and isinstance(base.const, str) and name in ("format", "join"):
            given = [*args, *options.values()]
            text = [str(value.const) for value in given if value.kind == "const"]
            return Value(files=files_named(f"{base.const}{''.join(text)}"))
        if name == "reshape":
            self.check_reshape(base, args, node)
        if name in KEEPING:
            return replace(base)
        if name in ("assign", "set_weights", "append") or base.kind == "unsure":
            return UNSURE
        if base.kind == "const" or name in ("join", "joinpath"):
            return self.array_function("join", [base, *args], {}, node, base)
        library = base.kind in UNKNOWN and (name in READ or name == "train_test_split")
        if library:
            return self.library(name, args, options, node)
        return self.unknown(args, options, base)

    def table_method(self, table, name, args, options, first):
        """The Value that a method of a DataFrame gives, where it concerns the label."""
        if name == "pop":
            return self.take_label(table)
        if name == "insert":
            table.columns = "last" if first.const != 0 else table.columns
            return constant(None)
        if name == "drop":
            named = [value.const for a in (*args, *options.values()) for value in (a, *parts(a))]
            rows = "index" in options or (isinstance(first.const, int) and not options)
            if rows and "label" not in named:
                return replace(table)
            if table.columns == "all" and table.kind == "row":
                return pixels(table)
            if options.get("inplace", UNSURE).const is True:
                self.take_label(table)
                return constant(None)
        if name == "iterrows":
            return Value("stream", base=Value("list", items=[Value(), element(table)]))
        if name == "itertuples":
            return Value("stream", base=UNSURE)
        return pixels(table)  # drop, set_index, filter, reindex, difference

    def dict_method(self, known, name, args, options):
        if name == "items":
            pairs = [Value("list", items=[constant(key) if isinstance(key, str) else Value(), item])
                     for key, item in known.items.items()]  # fmt: skip
            return Value("list", items=pairs)
        if name == "values":
            return Value("list", items=list(known.items.values()))
        if name == "update":
            more = args[0].items if args and args[0].kind == "dict" else {}
            for key, item in (more | options).items():
                known.items[key] = UNSURE if self.doubt else item
            return constant(None)
        if name == "copy":
            return Value("dict", items=dict(known.items))
        fallback = args[1] if len(args) > 1 else UNSURE
        return known.items.get(args[0].const, fallback) if args else UNSURE

    # models

    def make_layer(self, name, args, options):
        if name in PASSING:
            return Value("net", act="pass")
        if name.endswith("Softmax"):
            return Value("net", act="softmax")
        place = 1 if name.endswith("Dense") else 0
        given = options.get("activation")
        if given is None and not name.endswith("Conv2D") and len(args) > place:
            given = args[place]
        if given is None:
            return Value("net", act="" if "**" in options else "linear")
        if name == "QActivation" and str(given.const).startswith("quantized_bits"):
            return Value("net", act="pass")
        return Value("net", act=activation(given))

    def make_model(self, args, options):
        outputs = args[1] if len(args) > 1 else options.get("outputs")
        layers = outputs or (args[0] if args else options.get("layers") or Value("list", items=[]))
        model = Value("net")
        for layer in parts(layers) or [layers]:
            self.add_layer(model, layer)
        return model

    def add_layer(self, model, layer):
        model.act = layer.act if layer.act != "pass" else model.act
        model.wrapped |= layer.wrapped | layer.some_wrapped

    def clone(self, model, options, node):
        """What clone_model and its like give: the same, or what the clone_function makes of it."""
        copy = replace(model, base=None) if model.kind == "net" else Value("net")
        how = options.get("clone_function")
        if how:
            made = self.apply(how, [Value("net")], {}, node)
            copy.wrapped = made.wrapped | made.some_wrapped
        return copy

    def make_loss(self, name, args, options, node):
        """The Value of a loss; where it is called on a network's output, both are compared."""
        called = name.islower()
        given = options.get("from_logits")
        place = 2 if called else 0
        if given is None and len(args) > place:
            given = args[place]
        known = given is None and "**" not in options
        logits = False if known else given.const if given and given.kind == "const" else None
        loss = Value("loss", logits=True if name.endswith("_with_logits") else logits)
        outputs = options.get("logits") or options.get("y_pred")
        if called and (outputs or len(args) > 1):
            self.check_loss(outputs or args[1], loss, node)
        return loss

    def net_method(self, net, name, args, options, node):
        first = args[0] if args else next(iter(options.values()), Value())
        if name == "add":
            if self.doubt or first.kind == "unsure":
                net.act = ""
            else:
                self.add_layer(net, first)
        elif name == "pop":
            net.act = ""
        elif name == "compile":
            loss = options.get("loss") or (args[1] if len(args) > 1 else Value())
            self.check_loss(net, loss, node)
        elif name in ("save", "export"):
            self.saved[path_key(first)] = replace(net, scope=first)
        elif name == "get_layer":
            return Value("net")
        return Value("scores")

    # the mistakes

    def check_loss(self, net, loss, node):
        logits = loss.logits
        if loss.kind in ("const", "name"):
            named = str(loss.const).replace("_", "").lower()
            logits = False if ENTROPY.fullmatch(named) else None
        elif loss.kind in ("function", "partial"):
            made = self.apply(loss, [UNSURE, UNSURE], {}, node)
            logits = made.logits
        if (net.act, logits) in (("softmax", True), ("linear", False)) and self.doubt < 2:
            self.hint("softmax_logits", node)

    def check_argmax(self, value, node):
        unknown = value.kind in UNKNOWN and LABELS.fullmatch(value.name) and not self.encoded
        if value.kind == "labels" or unknown:
            self.hint("scalar_argmax", node)

    def check_examples(self, examples, node):
        if examples.kind in ("function", "partial"):
            examples = self.apply(examples, [], {}, node)
        if examples.kind in ("function", "partial"):
            examples = self.apply(examples, [], {}, node)
        if from_test(examples):
            self.hint("test_examples", node)

    def check_reshape(self, value, args, node):
        sizes = [part.const for arg in args for part in (arg, *parts(arg))]
        if value.kind == "table" and value.columns == "all" and {28, 784} & set(sizes):
            self.hint("label_kept", node)
            pixels(value)

    def check_pixels(self, value, node):
        """Hints where the inputs of a network still hold the label."""
        if value.kind == "stream":
            value = value.base
        if value.kind == "list" and value.items:
            value = value.items[0]
        if value.kind in ("table", "row") and value.columns == "all":
            self.hint("label_kept", node)


TABLE_METHODS = {
    *("pop", "insert", "drop", "set_index", "filter", "reindex", "difference"),
    *("iterrows", "itertuples"),
}


def combined(left, right, operator):
    """The constant that an operator makes of two; unknown where it is not simple."""
    if isinstance(left, str) and isinstance(right, str):
        between = "/" if isinstance(operator, ast.Div) else ""
        known = isinstance(operator, ast.Add | ast.Div)
        return constant((left + between + right)[-1000:]) if known else constant(left)
    if not all(isinstance(value, int | float) and abs(value) < 1e6 for value in (left, right)):
        return Value(files=constant(left).files | constant(right).files)
    if isinstance(operator, ast.Mult):
        return constant(left * right)
    if isinstance(operator, ast.Add | ast.Sub):
        return constant(left + right if isinstance(operator, ast.Add) else left - right)
    return constant(left / right) if isinstance(operator, ast.Div) and right else Value()


def path_key(value):
    """What tells the path of a model that was saved from others."""
    return value.const if isinstance(value.const, str) else id(value)


def read_table(path, options):
    """The table that reading a CSV file gives, with the label first."""
    kept = not {"usecols", "index_col"} & options.keys()
    return Value("table", files=path.files, columns="all" if kept else "")
