"""A file of a hand-in."""

import dataclasses


@dataclasses.dataclass
class File:
    """A file that was handed in, and what was found of it.

    place: where it lies in the hand-in. path: where its bytes lie here, "" if they could not be
    read. sha256: of them. problem: what keeps it from counting, or "". note: what else there is to
    say. size: bytes after gzip. correct of total: the test images that a model reads. pixels: the
    form of input that it was given. measures: see `grader.measures`. said: what a notebook, a
    paper or a .keras file says, see `grader.facts` and `grader.papers`.
    """

    problem: str = ""
    correct: int = 0
    total: int = 0
    size: int = 0
    pixels: str = ""
    measures: dict = dataclasses.field(default_factory=dict)
    said: dict = dataclasses.field(default_factory=dict)
    place: str = ""
    path: str = ""
    note: str = ""
    sha256: str = ""

    @property
    def share(self):
        return self.correct / max(self.total, 1)

    @property
    def bits(self):
        """The most that a model stores for a weight, 0 where that is not known."""
        return self.measures.get("bits", 0)
