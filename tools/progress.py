"""Shows how far the execution of a notebook has come, and about how long it still takes."""

import re
import shutil
import sys
import threading
import time


class Progress:
    """Notebook, cell, section and time: one changing line on a terminal, else a line a section.

    A context manager; `at` tells it which cell is being executed. expected: the seconds that each
    section is thought to take, by heading, if that is known.
    """

    def __init__(self, name, notebook, expected=None, stream=None):
        self.name, self.expected, self.spent = name, expected or {}, {}
        self.titles = section_titles(notebook)
        self.is_code = [cell.cell_type == "code" for cell in notebook.cells]
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty()
        self.index = 0
        self.shown = None
        self.start = self.since = time.monotonic()
        self.stop = threading.Event()
        self.ticker = threading.Thread(target=self.tick, daemon=True)

    def __enter__(self):
        if self.live:
            self.ticker.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        if self.live:
            self.ticker.join()
            print("\r\x1b[K", end="", file=self.stream, flush=True)

    @property
    def seconds(self):
        """Seconds since the notebook was started."""
        return time.monotonic() - self.start

    @property
    def section(self):
        """The heading nearest above the current cell."""
        return self.titles[self.index]

    def at(self, index):
        """Says that the cell with this index is now being executed."""
        self.spent = self.sections()
        self.index, self.since = index, time.monotonic()
        if not self.live and self.section != self.shown:
            self.shown = self.section
            print(self.line(), file=self.stream, flush=True)

    def sections(self):
        """The seconds that each section took up to now, by heading."""
        spent = self.spent.get(self.section, 0) + time.monotonic() - self.since
        return {**self.spent, self.section: spent}

    def left(self):
        """About how many seconds are left, at the pace of the sections before; None if unknown."""
        if not self.expected:
            return None
        spent = self.sections()
        here = self.titles.index(self.section)
        before = set(self.titles[:here]) - {self.section}
        planned = sum(self.expected.get(title, 0) for title in before)
        pace = sum(spent.get(title, 0) for title in before) / planned if planned >= 10 else 1
        after = set(self.titles[here:]) - before - {self.section}
        rest = max(0, pace * self.expected.get(self.section, 0) - spent[self.section])
        return rest + pace * sum(self.expected.get(title, 0) for title in after)

    def tick(self):
        """Redraws the line each second until the notebook is through."""
        while True:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{self.line()[:width]}", end="", file=self.stream, flush=True)
            if self.stop.wait(1):
                return

    def line(self):
        """Where the execution is, in one line."""
        cell, cells = sum(self.is_code[: self.index + 1]), sum(self.is_code)
        left = self.left()
        more = "" if left is None else f"  about {minutes(left)} left"
        return f"{self.name}  cell {cell}/{cells}  {minutes(self.seconds)}{more}  {self.section}"


def minutes(seconds):
    """A duration as mm:ss."""
    return "{:02d}:{:02d}".format(*divmod(round(seconds), 60))


def section_titles(notebook):
    """For each cell the nearest heading at or above it, "" before the first."""
    title, titles = "", []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"^```.*?^```", "", cell.source, flags=re.M | re.S)
            title = (re.findall(r"^#+\s+(.+?)\s*$", prose, flags=re.M) or [title])[-1]
        titles.append(title)
    return titles
