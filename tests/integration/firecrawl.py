"""A stand-in for Firecrawl: a real HTTP server with its scrape API's answers, and with misbehaviours of its own.

What it takes and answers: https://docs.firecrawl.dev/api-reference/endpoint/scrape; its errors:
https://docs.firecrawl.dev/api-reference/errors.
"""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "fc-0123456789abcdef"
TITLE = "Prices | Example Shop"
MARKDOWN = "# Prices\n\nA cup is 7,50 €.\n"


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Firecrawl:
    """`answers` are what to do for the first requests, in turn; then pages are scraped as they should be."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    answers: list[Callable[["Handler"], None]] = field(default_factory=list)
    markdown: str = MARKDOWN
    metadata: dict[str, Any] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    at_once: int = 0  # requests that were under way at the same moment, at most
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    under_way: int = 0

    def document(self, url: str) -> dict[str, Any]:
        """`data` of an answer, as the documentation shows it."""
        metadata = {
            "title": TITLE,
            "description": "What things cost",
            "language": "en",
            "sourceURL": url,
            "url": url,
            "statusCode": 200,
            "contentType": "text/html; charset=utf-8",
            "scrapeId": "0198c7f2-5d1e-7a6b-8a8e-1f1f3b5a9c11",
            "proxyUsed": "basic",
            "cacheState": "miss",
            "creditsUsed": 1,
            "concurrencyLimited": False,
            **self.metadata,
        }
        return {"markdown": self.markdown, "metadata": metadata}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    here: Firecrawl

    def do_POST(self) -> None:
        here = self.here
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with here.lock:
            here.requests.append(Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            here.under_way += 1
            here.at_once = max(here.at_once, here.under_way)
            act = here.answers.pop(0) if here.answers else None
        try:
            here.before()
            (act or Handler.as_documented)(self)
        finally:
            with here.lock:
                here.under_way -= 1

    def as_documented(self) -> None:
        if self.path != "/v2/scrape":
            self.say(404, {"success": False, "error": "Not Found"})
        elif self.headers.get("authorization") != f"Bearer {KEY}":
            self.say(401, {"success": False, "error": "Unauthorized: Invalid token"})
        else:
            url = self.here.requests[-1].body["url"]
            self.say(200, {"success": True, "data": self.here.document(url)})

    def say(self, status: int, body: Any, **headers: str) -> None:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=utf-8")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def error(status: int, said: str, code: str | None = None, **headers: str) -> Callable[[Handler], None]:
    """An error in the shape that all of Firecrawl's have."""
    body = {"success": False, "error": said, **({"code": code} if code else {})}
    return lambda handler: handler.say(status, body, **headers)


def raw(status: int, body: Any, **headers: str) -> Callable[[Handler], None]:
    return lambda handler: handler.say(status, body, **headers)


def hang(handler: Handler) -> None:
    """Not a byte, until the test is over."""
    handler.here.over.wait(60)
    handler.close_connection = True


def drip_body(handler: Handler) -> None:
    """A byte every now and then, of a body that would be complete in a day."""
    handler.send_response(200)
    handler.send_header("content-length", "100000")
    handler.end_headers()
    _drip(handler, b" " * 100_000)


def drip_headers(handler: Handler) -> None:
    _drip(handler, b"HTTP/1.1 200 OK\r\nx-slow: " + b"x" * 100_000)


def _drip(handler: Handler, sent: bytes) -> None:
    handler.close_connection = True
    try:
        for at in range(len(sent)):
            if handler.here.over.wait(0.05):
                return
            handler.wfile.write(sent[at : at + 1])
            handler.wfile.flush()
    except OSError:
        return  # as soon as nobody listens any more


def reset(handler: Handler) -> None:
    """The connection is torn down in the middle of the answer."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


@contextmanager
def firecrawl() -> Iterator[Firecrawl]:
    here = Firecrawl()

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A caller that has gone away is what some tests are about."""

    server = Server(("127.0.0.1", 0), type("Here", (Handler,), {"here": here}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    here.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield here
    finally:
        here.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
