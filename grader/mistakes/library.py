"""What functions and methods give that the notebook does not define."""

from copy import copy
from dataclasses import dataclass, replace
from typing import Any

from grader.mistakes import models, tables
from grader.mistakes.values import DATA, OTHER, UNSURE, Value, constant, join, listed, stream

# what gives back what it takes, as far as matters here
KEEPING = {
    *("array", "asarray", "float32", "float64", "int", "int32", "list", "tuple", "sorted", "iter"),
    *("convert_to_tensor", "cast", "constant", "DataFrame", "Series", "to_numpy", "numpy", "copy"),
    *("reshape", "expand_dims", "squeeze", "ravel", "flatten", "astype", "clip", "round", "where"),
    *("shuffle", "sample", "resample", "head", "tail", "dropna", "fillna", "reset_index", "query"),
    *("sort_values", "drop_duplicates", "to_frame", "tolist", "to_list", "batch", "take", "skip"),
    *("prefetch", "cache", "repeat", "unbatch", "as_numpy_iterator", "item", "tqdm", "reversed"),
    *("open", "Path", "str", "read", "readlines", "replace", "islice", "deepcopy", "DataLoader"),
    *("RepresentativeDataset", "function", "get_concrete_function", "gather", "divide", "multiply"),
}
ONE_HOT = {"to_categorical", "one_hot", "get_dummies", "label_binarize"}
ENCODERS = {"LabelBinarizer", "OneHotEncoder", "CategoryEncoding"}
INDICES = {"arange", "permutation", "argsort", "flatnonzero", "randint", "integers", "nonzero"}
NO_DATA = {"len", "range", "print", "zeros", "ones", "empty", "zeros_like", "unique", "bincount"}
SCORES = {"predict", "predict_on_batch", "get_tensor", "predict_proba"}
JOINS = {"concat", "concatenate", "vstack", "stack"}


@dataclass
class Call:
    """A call in a notebook of what it does not define.

    name: of the function or the method; base: what it is a method of. run: the Follower, which
    calls Values and has the Finder and the saved models, path -> Value.
    """

    name: str
    base: Value
    args: list
    options: dict
    node: Any
    run: Any

    def __post_init__(self):
        self.finder, self.saved = self.run.finder, self.run.saved
        self.given = [*self.args, *self.options.values()]
        self.first = self.given[0] if self.given else Value()

    def option(self, name, place):
        """The argument of a name, or else at a place, or None."""
        return self.options.get(name, self.args[place] if len(self.args) > place else None)

    def apply(self, function, *args):
        return self.run.apply(function, list(args), {}, self.node)


def called(function, args, options, node, run):
    """What calling a Value gives that is no function of the notebook."""
    base = function.base or replace(function, files=frozenset())
    call = Call(function.const, base, args, options, node, run)
    if function.kind == "name":
        check_width(call)
        return FUNCTIONS.get(call.name, unknown)(call)
    if function.kind == "bound":
        kind, name = call.base.kind, call.name
        return (METHODS.get((kind, name)) or METHODS.get(("", name), unknown))(call)
    if function.kind == "net":
        return models.called(call)
    return Value("one-hot") if function.kind == "encoder" else unknown(call)


def unknown(call):
    """What a call gives of which nothing is known, or what a text tells that is formatted."""
    for value in call.given:
        for part in (value, *value.parts()):
            part.unsuspect()
    if call.base.kind in ("const", "unsure"):
        return path_joined(call) if call.base.kind == "const" else UNSURE
    return Value(files=call.base.files.union(*(value.all_files() for value in call.given)))


def check_width(call):
    """Looks at the shape that a network takes."""
    shape = call.options.get("input_shape")
    shape = call.first if call.name in ("Input", "InputLayer") and not shape else shape or OTHER
    call.finder.width({value.const for value in (shape, *shape.parts())}, call.node)


def argmax(call):
    call.finder.argmax(call.base if call.base.kind != "name" else call.first, call.node)
    return OTHER


def kept(call):
    """Of the arguments the one that holds data, or else the first; rows become a table."""
    value = next((value for value in call.args if value.kind in DATA), call.first)
    items = value.parts()
    if items and all(each.kind in ("row", *DATA) for each in items):
        return as_table(join(items))
    return replace(value, items=copy(value.items))


def kept_base(call):
    return replace(call.base, items=copy(call.base.items))


def as_table(value):
    return replace(value, kind="table" if value.kind == "row" else value.kind)


def one_hot(call):
    return Value("one-hot", files=call.first.all_files())


def appended(call):
    """`append` and `extend` of a list."""
    if len(call.base.items) < 99:
        new = [call.first] if call.name == "append" else call.first.iterated()
        call.base.items += [UNSURE for _ in new] if call.finder.doubt else new
    return constant(None)


def pairs(call):
    """`items` of a dict."""
    return listed(map(listed, zip(call.base.entries(), call.base.parts(), strict=True)))


def mapped_stream(call):
    """`map` of a tf.data.Dataset."""
    each = call.base.base
    return stream(call.apply(call.first, *(each.items if each.kind == "list" else [each])))


def sliced(call):
    """`from_tensor_slices`."""
    each = [part.element() for part in call.first.parts()]
    return stream(listed(each) if each else call.first.element())


def partial(call):
    function, *own = call.args or [UNSURE]

    def apply(args, options, node):
        return call.run.apply(function, [*own, *args], call.options | options, node)

    return Value("function", call=apply)


def path_joined(call):
    """Of the parts of a path, or of a text that is formatted, the one that tells the file."""
    values = [call.base, *call.given]
    return next((value for value in reversed(values) if value.files), values[-1])


FUNCTIONS = {
    **dict.fromkeys(KEEPING, kept),
    **dict.fromkeys(ONE_HOT, one_hot),
    **dict.fromkeys(ENCODERS, lambda call: Value("encoder")),
    **dict.fromkeys(("eye", "identity"), lambda call: Value("eye")),
    **dict.fromkeys(INDICES, lambda call: Value("index")),
    **dict.fromkeys(NO_DATA | SCORES, lambda call: OTHER),
    **dict.fromkeys(JOINS, lambda call: as_table(join(call.first.parts() or [call.first])).mixed()),
    **dict.fromkeys(("next", "choice"), lambda call: call.first.element()),
    "argmax": argmax,
    "join": path_joined,
    "shuffle": lambda call: listed(call.args) if len(call.args) > 1 else kept(call),
    "dict": lambda call: Value("dict", items=call.options),
    "zip": lambda call: stream(listed(value.element() for value in call.args)),
    "enumerate": lambda call: stream(listed([OTHER, call.first.element()])),
    "from_tensor_slices": sliced,
    "partial": partial,
    **tables.FUNCTIONS,
    **models.FUNCTIONS,
}
METHODS = {
    **{("", name): kept_base for name in KEEPING},
    **{("", name): lambda call: OTHER for name in SCORES},
    **{("", name): kept for name in ("transform", "fit_transform")},
    **{("", name): path_joined for name in ("join", "joinpath")},
    ("", "argmax"): argmax,
    **{("list", name): appended for name in ("append", "extend")},
    ("dict", "values"): lambda call: listed(call.base.parts()),
    ("dict", "items"): pairs,
    **{("encoder", name): one_hot for name in ("transform", "fit_transform")},
    ("stream", "map"): mapped_stream,
    ("labels", "map"): lambda call: call.apply(call.first, call.base),
    **tables.METHODS,
    **models.METHODS,
}
