"""What is known of a value in a notebook, and of several that may stand in one place."""

import functools
import re
from dataclasses import dataclass, replace
from typing import Any

MAX_ITEMS, MAX_NESTED = 12, 3

TEST = re.compile(r"(?<![a-z])(?:[xy]|ds)?_?test", re.IGNORECASE)
TRAIN = re.compile("train", re.IGNORECASE)
UNKNOWN = "", "name", "bound"  # kinds of which no more is known than a name
DATA = "table", "labels", "one-hot"


@dataclass(eq=False)
class Value:
    """What is known of a value.

    kind: "table" and "row" (of a CSV file), "labels", "one-hot", "net" (a layer, a tensor or a
    model), "loss", "stream" (what is iterated), "list", "dict", "const" and so on; "" is unknown,
    "unsure" may be one of several, "other" is none that matters. files: the files that it comes
    from, of "train" and "test". columns: "all" with the label first, "pixels" or "". act:
    "softmax", "linear", "pass" for a layer that changes neither, or "". wrapped: the wrappers
    that it surely has; partly: those that it or some layer of it may have. name: the name that an
    unknown value had. scaled: [cell, line] of a whole table that was divided by 255, emptied
    where the label is taken away later. call: what calling it does, of arguments, options and a
    node.
    """

    kind: str = ""
    const: Any = None
    files: frozenset = frozenset()
    columns: str = ""
    act: str = ""
    wrapped: frozenset = frozenset()
    partly: frozenset = frozenset()
    logits: bool | None = None
    items: Any = None
    base: Any = None
    name: str = ""
    scaled: list | None = None
    call: Any = None

    def named(self, name):
        """The same with what its name tells where nothing else is known."""
        weak = not self.files or self.files == {"train", "test"}
        if self.kind in (*UNKNOWN, *DATA) and weak:
            files = files_named(name) or self.files
            if self.kind == "table":
                self.files = files  # in place: a pop must reach the table itself
            elif files != self.files or not self.name:
                return replace(self, files=files, name=self.name or name)
        return self

    def key(self):
        """What stands for it among the keys of a dict."""
        return self.const if self.kind == "const" else self

    def number(self):
        """Its number, 0 if it has none."""
        known = isinstance(self.const, int | float) and abs(self.const) < 1e6
        return self.const if known else 0

    def truth(self):
        """Whether it is true: a bool, or None where it cannot be told."""
        if self.kind == "const":
            return bool(self.const)
        return True if self.call or self.entries() or self.kind in ("net", "loss") else None

    def parts(self):
        """The Values in a container, or none."""
        if self.kind == "stream":
            return [self.base]
        return list(self.items.values() if isinstance(self.items, dict) else self.items or ())

    def entries(self):
        """The Values that a list holds, the keys of a dict, or none."""
        if self.kind == "dict":
            return [key if isinstance(key, Value) else constant(key) for key in self.items]
        return list(self.items) if self.kind == "list" else []

    def element(self):
        """What iterating over it gives."""
        if self.kind == "stream":
            return self.base
        if self.entries():
            return join(self.entries())
        kinds = {"table": "row", "row": "", "const": "", "list": "unsure", "net": "unsure"}
        return replace(self, kind=kinds.get(self.kind, self.kind), const=None)

    def iterated(self):
        """The Values that a loop over it meets, one for all where they cannot be told apart."""
        known = self.entries()
        return known if 0 < len(known) <= MAX_ITEMS else [self.element()]

    def unpacked(self, count):
        """The Values that `count` names take from it."""
        if self.kind == "list" and len(self.items) == count:
            return self.items
        known = self.kind in ("list", "stream", "unsure")
        return [self.element() if known else replace(self, kind="") for _ in range(count)]

    def labels(self):
        """The labels of a table or a row."""
        return Value("labels", files=self.files)

    def pixels(self, columns="pixels"):
        """A table or a row after its label was taken away."""
        self.unsuspect()
        return replace(self, columns=columns, scaled=None)

    def unsuspect(self):
        """Takes back that it was scaled with its label."""
        if self.scaled:
            self.scaled.clear()

    def all_files(self, depth=0):
        """The files that it and what it holds come from."""
        inner = self.parts()[:MAX_ITEMS] if depth < MAX_NESTED else []
        return self.files.union(*(part.all_files(depth + 1) for part in inner))

    def from_test(self, depth=0):
        """Whether it, or a part of it, comes from the test file alone."""
        inner = self.parts()[:MAX_ITEMS] if depth < MAX_NESTED else []
        return any(p.from_test(depth + 1) for p in inner) if inner else self.files == {"test"}

    def mixed(self):
        """The same, marked so that a name such as x_test no longer decides between files."""
        files = self.all_files()
        return replace(self, files=files if len(files) == 1 else files | {"split"})


UNSURE, OTHER = Value("unsure"), Value("other")


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


def listed(values):
    return Value("list", items=list(values))


def stream(value):
    """What gives the same Value again and again."""
    return Value("stream", base=value)


def join(values, depth=0):
    """One Value for several that may stand here: what they have in common."""
    return functools.reduce(lambda one, other: joined(one, other, depth), values or [UNSURE])


def joined(one, other, depth):
    """One Value for two."""
    if one is other:
        return one
    maybe = one.partly | other.partly | one.wrapped | other.wrapped
    known: dict = {"files": one.files | other.files, "partly": maybe}
    if not alike(one, other, depth):
        return Value("unsure", **known)
    if one.kind == "list":
        pairs = zip(one.items, other.items, strict=True)
        known["items"] = [joined(*pair, depth + 1) for pair in pairs]
    elif one.kind == "stream":
        known["base"] = joined(one.base, other.base, depth + 1) if depth < MAX_NESTED else UNSURE
    for name, vague in (("columns", ""), ("act", ""), ("logits", None)):
        if getattr(one, name) != getattr(other, name):
            known[name] = vague
    return replace(one, wrapped=one.wrapped & other.wrapped, **known)


def alike(one, other, depth):
    """Whether two Values have so much in common that one may stand for both."""
    if one.kind != other.kind or one.kind in ("dict", "function", "bound"):
        return False
    if one.kind == "const":
        return one.const == other.const or bool(one.files and one.files == other.files)
    if one.kind == "list":
        return depth < MAX_NESTED and len(one.items) == len(other.items) <= MAX_ITEMS
    return True
