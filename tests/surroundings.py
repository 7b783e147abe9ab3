"""What tests put around the code: a server of any manners, a disk with little room."""

import contextlib
import resource
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

CONTENT = np.random.default_rng(0).bytes(3_000_000)


class Server(ThreadingHTTPServer):
    """A local server at `url`; `ranges` holds the header Range of each request."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.ranges: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT under any name. The address says how: /plain/x as one wishes, /early/x up to
    2,000,000 bytes, /whole/x without regard to Range, /silent/x without the length in a 416."""

    server: Server

    def do_GET(self):
        wanted = self.headers["Range"]
        self.server.ranges.append(wanted)
        how = self.path.split("/")[1]
        start = int(wanted[len("bytes=") : -1]) if wanted and how != "whole" else 0
        if how == "absent":
            self.send_error(404)
        elif start >= len(CONTENT):
            self.send_response(416)
            if how != "silent":
                self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.end_headers()
        else:
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(CONTENT) - start))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # of those who hang up
                self.wfile.write(CONTENT[start : 2_000_000 if how == "early" else None])

    def log_message(self, *_):
        pass


def names_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@contextlib.contextmanager
def room_for(size):
    """Within the block no file can grow beyond `size` bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
