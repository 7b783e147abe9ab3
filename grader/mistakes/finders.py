"""The mistakes: what of a Value, in which place, calls for a hint."""

import re
from typing import NamedTuple

from grader.mistakes.values import UNKNOWN

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
LABELS = re.compile(
    r"(?:y|labels?|targets?)_?(?:tr|te|va|true)\w*|(?:tr|te|va)\w*_(?:y|labels?|targets?)|labels?",
    re.IGNORECASE,
)
ENCODED = re.compile(
    r"to_categorical|one_?hot|Binarizer|binarize|get_dummies|\.eye|identity"
    r"|(?<!sparse_)categorical_crossentropy|(?<!Sparse)CategoricalCrossentropy",
    re.IGNORECASE,
)


class Hint(NamedTuple):
    """Where a notebook should be looked at again: `mistake` is a key of TEXTS, `cell` counts all
    cells from 1, `line` the lines of the cell from 1, and `text` is a sentence."""

    mistake: str
    cell: int
    line: int
    text: str


class Finder:
    """Looks at Values for mistakes.

    code: the whole text of the notebook. cell: the cell that is being followed. doubt: 0 where
    its code surely runs, 1 where it may, 2 where it or another branch does.
    """

    def __init__(self, code):
        self.encoded = bool(ENCODED.search(code))
        self.cell = self.doubt = 0
        self.places: set = set()
        self.scaled: list = []

    def found(self):
        """The Hints, in the order of the notebook."""
        kept = {("label_kept", *place) for place in self.scaled if place}
        places = sorted(self.places | kept, key=lambda place: place[1:])
        return [Hint(name, cell, line, TEXTS[name]) for name, cell, line in places]

    def hint(self, mistake, node):
        self.places.add((mistake, self.cell, node.lineno))

    def scaling(self, value, node):
        """Suspects a table that is scaled as a whole, until its label is taken away."""
        if value.kind == "table" and value.columns == "all":
            value.scaled = [self.cell, node.lineno]
            self.scaled.append(value.scaled)

    def cut(self, table, key, node):
        """The last column is cut off, as if the label stood there."""
        if table.columns == "all" and key.kind == "slice":
            low, high = key.items
            if low.kind == high.kind == "const" and not low.const and high.const in (784, -1):
                self.hint("label_kept", node)

    def width(self, sizes, node):
        """A network takes 785 numbers for an image."""
        if 785 in sizes:
            self.hint("label_kept", node)

    def inputs(self, value, node):
        """A network is given the label among the pixels."""
        value = value.base if value.kind == "stream" else value
        value = value.items[0] if value.kind == "list" and value.items else value
        if value.kind in ("table", "row") and value.columns == "all":
            self.hint("label_kept", node)

    def test_data(self, mistake, value, node):
        """Validation or calibration is given the test file."""
        if value.from_test():
            self.hint(mistake, node)

    def argmax(self, value, node):
        unknown = value.kind in UNKNOWN and LABELS.fullmatch(value.name) and not self.encoded
        if value.kind == "labels" or unknown:
            self.hint("scalar_argmax", node)

    def loss(self, net, logits, node):
        """logits: whether the loss of a network takes them; None where it cannot be told."""
        if (net.act, logits) in (("softmax", True), ("linear", False)) and self.doubt < 2:
            self.hint("softmax_logits", node)

    def conversion(self, model, node):
        if model.wrapped and self.doubt < 2:
            self.hint("strip_forgotten", node)
