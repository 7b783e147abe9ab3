"""Shows how far the execution of a notebook has come."""

import re
import shutil
import sys
import threading
import time


class Progress:
    """Notebook, cell, section and time: one changing line on a terminal, else a line a section.

    A context manager; `at` tells it which cell is being executed.
    """

    def __init__(self, name, notebook, stream=None):
        self.name = name
        self.titles = section_titles(notebook)
        self.is_code = [cell.cell_type == "code" for cell in notebook.cells]
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty()
        self.index = 0
        self.shown = None
        self.start = time.monotonic()
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
        self.index = index
        if not self.live and self.section != self.shown:
            self.shown = self.section
            print(self.line(), file=self.stream, flush=True)

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
        return f"{self.name}  cell {cell}/{cells}  {minutes(self.seconds)}  {self.section}"


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
