"""A customer's endpoint for tests: a real HTTP server on loopback that records what it gets."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes
    port: int = 0  # the sender's: another one is another connection


@dataclass
class Endpoint:
    """`answer` says what to send back: bytes of a whole response, by default `200 ok`."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    here = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {k.lower(): v for k, v in self.headers.items()}
            here.received.append(Received(self.path, headers, body, self.client_address[1]))
            here.before()
            self.send_response(here.status)
            for name, value in here.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(here.body)))
            self.end_headers()
            self.wfile.write(here.body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 512  # the standard library's 5 drops connections that come at once

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    here.url = f"http://127.0.0.1:{server.server_port}/hook"
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
