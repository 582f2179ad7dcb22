import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from local.lambdas.runtime_connection import RuntimeConnection, response

NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /1/response HTTP/1.1\r\nhost: x\r\ncontent-LENGTH: 5\r\nX: y\r\n\r\nhello"


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return False


def connected(take: Callable[..., None]) -> tuple[RuntimeConnection, Transport]:
    connection, transport = RuntimeConnection(take), Transport()
    connection.connection_made(transport)
    return connection, transport


@pytest.mark.parametrize("size", [1, 7, len(NEXT), len(NEXT + POST), 10_000])
def test_requests_are_taken_whole_however_they_arrive(size: int) -> None:
    taken: list[tuple[str, bytes]] = []
    connection, _ = connected(lambda path, body, _: taken.append((path, body)))
    sent = NEXT + POST + NEXT
    for start in range(0, len(sent), size):
        connection.data_received(sent[start : start + size])
    assert taken == [("/next", b""), ("/1/response", b"hello"), ("/next", b"")]


def test_an_answer_may_come_later() -> None:
    answers: list[Callable[[bytes], None]] = []
    connection, transport = connected(lambda _path, _body, answer: answers.append(answer))
    connection.data_received(NEXT)
    assert transport.written == b""
    answers[0](response("200 OK", b"{}", "X-Id: 5\r\n"))
    head, _, body = transport.written.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"HTTP/1.1 200 OK"
    assert {b"Content-Length: 2", b"X-Id: 5"} <= set(head.split(b"\r\n"))
    assert body == b"{}"
