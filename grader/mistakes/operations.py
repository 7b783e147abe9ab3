"""What operators, attributes and indexes make of Values."""

import ast
import operator
from dataclasses import replace

from grader.mistakes import tables
from grader.mistakes.values import DATA, UNKNOWN, Value, constant, join

ARITHMETIC = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}


def operated(left, right, operation):
    """What an operator makes of two Values."""
    if left.kind == right.kind == "const":
        return combined(left, right, operation)
    data = next((value for value in (left, right) if value.kind in DATA), None)
    return replace(data) if data else Value(files=right.files or left.files, name=left.name)


def combined(left, right, operation):
    """The constant that an operator makes of two; unknown where it is not simple."""
    if isinstance(left.const, str) and isinstance(right.const, str):
        between = "" if isinstance(operation, ast.Add) else "/"
        return constant((left.const + between + right.const)[-1000:])
    known = ARITHMETIC.get(type(operation))
    if known and left.number() and right.number():
        return constant(known(left.const, right.const))
    return Value(files=left.files | right.files)


def rescales(left, right, operation):
    """Whether an operation brings the range 0 to 255 to about 0 to 1."""
    if isinstance(operation, ast.Div):
        return 200 < right.number() < 300
    return isinstance(operation, ast.Mult) and 0 < (left.number() or right.number()) < 0.01


def attribute(base, name):
    """An attribute of a Value; a method is "bound"."""
    if base.kind == "name":
        return Value("name", name).named(name)
    if name in ("iloc", "loc") or (name == "values" and base.kind != "dict"):
        return base
    if base.kind in ("table", "row") and name in ("label", "shape"):
        return tables.attribute(base, name)
    if base.kind in UNKNOWN:
        return Value("bound", name, base.files, base=base, name=name).named(name)
    return Value("bound", name, frozenset() if name == "shape" else base.all_files(), base=base)


def item(base, key):
    """What an index takes out of a Value that is no table."""
    if base.kind == "row":
        return tables.columns(base, key)
    if base.kind == "eye":
        return Value("one-hot", files=key.files)
    if base.kind == "dict":
        return base.items.get(key.key()) or join(base.parts())
    if base.kind == "list":
        if isinstance(key.const, int) and -len(base.items) <= key.const < len(base.items):
            return base.items[key.const]
        return base if key.kind == "slice" else join(base.items)
    if base.kind in UNKNOWN and isinstance(key.const, str):
        return Value(files=base.files).named(key.const)
    keeps = base.kind in ("labels", "one-hot", "stream", "unsure")
    return replace(base, kind=base.kind if keeps else "")
