"""Endpoints that mean harm: each connection is answered by what a test wrote."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


@dataclass
class Hostile:
    url: str = ""
    address: tuple[str, int] = ("", 0)
    heard: list[bytes] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)  # the sender would not read on


@contextmanager
def answering(answer: Callable[[], Iterable[bytes]]) -> Iterator[Hostile]:
    """A server that sends the pieces of `answer()` to whoever connects, for as long as it is read."""
    here = Hostile()

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                here.heard.append(connection.recv(1 << 20))
                for piece in answer():
                    connection.sendall(piece)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 16):
                    pass
            except OSError:
                here.hung_up.set()

    def accept(server: socket.socket) -> None:
        with suppress(OSError):  # the server is closed at the end
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=256) as server:
        here.address = server.getsockname()
        here.url = f"http://127.0.0.1:{here.address[1]}/"
        threading.Thread(target=accept, args=(server,), daemon=True).start()
        yield here


def endless(piece: bytes, head: bytes = b"") -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        yield head
        while True:
            yield piece

    return pieces


@contextmanager
def black_hole() -> Iterator[tuple[str, int]]:
    """An address where no connection comes about: the line of those who wait to be accepted is full."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        try:
            yield server.getsockname()
        finally:
            for one in waiting:
                one.close()
