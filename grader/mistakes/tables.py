"""What indexes and methods make of a table of a CSV file; its first column is the label."""

from dataclasses import replace

from grader.mistakes.values import OTHER, UNKNOWN, Value, constant, listed

READ = {"read_csv", "read_table", "loadtxt", "genfromtxt", "reader"}
CHOOSING = "set_index", "filter", "reindex"
WIDTH = {"all": 785, "pixels": 784}


def read(call):
    """A table, with the label unless columns were chosen."""
    chosen = {"usecols", "index_col"} & call.options.keys()
    return Value("table", files=call.first.files, columns="" if chosen else "all")


def take_label(table, doubt):
    """Takes the label out of a table in place; returns it. doubt: as of a Finder."""
    table.unsuspect()
    if table.kind in ("table", "row"):
        table.columns = "" if doubt else "pixels"
    return table.labels()


def pop(call):
    return take_label(call.base, call.finder.doubt)


def drop(call):
    """`drop` of the label, in place or not."""
    if "inplace" in call.options and call.options["inplace"].const is True:
        pop(call)
        return constant(None)
    return call.base.pixels()


def attribute(table, name):
    """The attributes `label` and `shape`."""
    width = WIDTH.get(table.columns)
    shape = listed([OTHER, constant(width) if width else OTHER])
    return table.labels() if name == "label" else shape


def rows(table, key):
    """What a single index takes out: rows, or else columns."""
    if key.kind == "const" and isinstance(key.const, int):
        return replace(table, kind="row")
    if key.kind in ("mask", "index", "slice") or (key.kind in UNKNOWN and key.files):
        return replace(table)
    return columns(table, key)


def columns(table, key):
    """The columns of a table, or the entries of a row, that an index names."""
    if key.kind == "slice":
        return column_range(table, *key.items)
    if key.kind == "list":
        names = {value.const for value in key.items}
        if names in ({"label"}, {0}):
            return table.labels()
        return table.pixels("" if "label" in names else "pixels")
    if key.kind != "const":
        return table.pixels("pixels" if key.kind == "mask" else key.columns)
    if key.const is None:
        return replace(table)
    known = key.const == "label" or (key.const == 0 and table.columns == "all")
    return table.labels() if known else Value(files=table.files)


def column_range(table, low, high):
    """The columns of a table from one index to another."""
    first, end = low.const, high.const
    if {low.kind, high.kind} != {"const"}:
        return table.pixels("")
    if first and first != "label":
        return table.pixels()
    if end in (784, -1):
        return table.pixels("" if table.columns == "all" else "pixels")
    return table.labels() if end == 1 else replace(table)


FUNCTIONS = {
    **dict.fromkeys(READ, read),
    "train_test_split": lambda call: listed(v.mixed() for v in call.args for _ in range(2)),
}
METHODS = {
    ("table", "pop"): pop,
    ("table", "drop"): drop,
    **{("table", name): lambda call: call.base.pixels() for name in CHOOSING},
}
