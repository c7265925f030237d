"""A server on this machine in the place of a publisher's."""

import hashlib
import http.server
import time

from rusr_core import zoo

CONTENT = bytes(range(256)) * 20_000  # 5 MB
SHA = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at any path, with ranges; `cut` ends each answer after that many bytes."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.cut, self.version, self.status = CONTENT, None, '"1"', 200
        self.requests: list[tuple[str, str]] = []
        self.location, self.delay = "", 0.0
        self.headers: dict[str, str | None] = {}  # instead of those below; None: not sent
        self.length: int | None = None  # bytes of a range that are sent, where it is shorter than asked for

    def handle_error(self, request, client_address):
        pass  # clients that hang up are part of the tests

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.bin"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802
        server = self.server
        span = self.headers.get("Range", "")
        server.requests.append((self.path, span))
        if server.location:
            self.send_response(302)
            self.send_header("Location", server.location)
            self.end_headers()
            return
        time.sleep(server.delay)
        start = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        start = start if self.headers.get("If-Range") == server.version else 0
        end = len(server.content) if server.length is None or not start else start + server.length
        body = server.content[start:end]
        self.send_response(server.status if server.status != 200 else 206 if start else 200)
        headers = {"Content-Length": str(len(body)), "ETag": server.version or None}
        headers["Content-Range"] = f"bytes {start}-{start + len(body) - 1}/{len(server.content)}" if start else None
        for name, value in (headers | server.headers).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: server.cut])

    def log_message(self, *args):
        pass


def served(entry: zoo.Entry, url: str) -> zoo.Entry:
    """The entry with an address of this server."""
    return zoo.Entry(**(vars(entry) | {"url": url}))
