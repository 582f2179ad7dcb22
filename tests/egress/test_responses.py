"""What an endpoint may send back: read up to the caps, never unpacked, never believed beyond its status."""

import gzip
import zlib
from collections.abc import Iterable

import pytest

from functions.adapters.sender import HEADERS_CAP_BYTES, KEPT_HEADERS_BYTES, READ_CAP_BYTES, Response
from tests.egress.hostile import CHUNKED, OK, answering, endless
from tests.egress.posting import anywhere, code, post

BOMB = gzip.compress(bytes(64 << 20))
LINE = b"x: " + b"y" * 100 + b"\r\n"


def answered(*pieces: bytes) -> Response:
    with answering(lambda: pieces) as server:
        return post(server.url, may_connect=anywhere)


@pytest.mark.parametrize(
    ("piece", "head"),
    [
        (b"x" * 65536, OK + b"\r\n"),
        (b"x" * 65536, OK + b"content-length: 999999999999\r\n\r\n"),
        (b"x" * 65536, OK + b"content-length: 99999999999999999999999999\r\n\r\n"),
        (b"10000\r\n" + b"x" * 65536 + b"\r\n", CHUNKED),
        (b"1\r\nx\r\n" * 1000, CHUNKED),
    ],
    ids=["until it closes", "a length of a terabyte", "a length past 64 bits", "chunks", "chunks of a byte"],
)
def test_an_endless_body_is_cut_and_its_status_counts(piece: bytes, head: bytes) -> None:
    with answering(endless(piece, head)) as server:
        response = post(server.url, may_connect=anywhere)
        assert (response.status, response.failure) == (200, None)
        assert len(response.body) == READ_CAP_BYTES
        assert server.hung_up.wait(10)


@pytest.mark.parametrize(
    ("piece", "head"),
    [
        (LINE, OK),
        (b"a:\r\n", OK),
        (b"y" * 65536, OK + b"x: "),
        (b"y" * 65536, b"HTTP/1.1 200 "),
        (b" y\r\n", OK + b"x: y\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 100, b""),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 100, b""),
        (LINE, CHUNKED + b"0\r\n"),
        (b"y" * 65536, CHUNKED + b"0\r\nx: "),
    ],
    ids=[
        "lines",
        "short lines",
        "a line",
        "a status line",
        "folds",
        "1xx",
        "1xx with headers",
        "trailers",
        "a trailer",
    ],
)
def test_an_endless_head_is_cut_and_a_failure(piece: bytes, head: bytes) -> None:
    with answering(endless(piece, head)) as server:
        response = post(server.url, may_connect=anywhere)
        assert code(response) == "response_too_large"
        assert len(response.body) == 0
        assert sum(len(name) + len(value) for name, value in response.headers.items()) <= KEPT_HEADERS_BYTES
        assert server.hung_up.wait(10)


def test_headers_up_to_the_cap_are_taken_and_the_first_of_them_kept() -> None:
    lines = [b"x-%d: " % number + b"y" * 1000 + b"\r\n" for number in range(HEADERS_CAP_BYTES // 1024)]
    response = answered(OK, *lines, b"content-length: 2\r\n\r\nok")
    assert (response.status, response.failure, response.body) == (200, None, b"ok")
    assert "x-0" in response.headers
    assert "x-60" not in response.headers


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip, gzip"])
def test_a_bomb_is_kept_as_the_bytes_it_came_in(encoding: str) -> None:
    """Nothing asks for a compressed answer, and one that comes all the same is not unpacked."""
    packed = zlib.compress(bytes(64 << 20)) if encoding == "deflate" else BOMB
    response = answered(OK, f"content-encoding: {encoding}\r\n\r\n".encode(), packed)
    assert (response.status, response.failure) == (200, None)
    assert response.body == packed[:READ_CAP_BYTES]


@pytest.mark.parametrize("encoding", ["gzip", "gzip, chunked", "deflate", "br", "identity, gzip", "x"])
def test_a_packed_transfer_is_not_unpacked_either(encoding: str) -> None:
    response = answered(OK, f"transfer-encoding: {encoding}\r\n\r\n".encode(), b"%x\r\n" % len(BOMB), BOMB)
    assert code(response) == "invalid_response"
    assert len(response.body) <= READ_CAP_BYTES


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", "connection_closed"),
        (b"HTTP/1.1 200", "connection_closed"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "connection_closed"),
        (b"HTTP/1.1 200 OK\r\nx: y\r\n", "connection_closed"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx", "connection_closed"),
        (CHUNKED + b"a\r\nx", "connection_closed"),
        (b"SSH-2.0-OpenSSH\r\n", "invalid_response"),
        (b"<html>hello", "invalid_response"),
        (bytes(1000), "invalid_response"),
        (b"ICY 200 OK\r\n\r\n", "invalid_response"),
        (b"HTTP/1.1 20\r\n\r\n", "invalid_response"),
        (b"HTTP/1.1 000 OK\r\n\r\n", "invalid_response"),
        (b"HTTP/1.2 200 OK\r\n\r\n", "invalid_response"),
        (b"HTTP/9.9 200 OK\r\n\r\n", "invalid_response"),
        (OK + b"x: a\0b\r\n\r\n", "invalid_response"),
        (OK + b"x: a\rset-cookie: b\r\n\r\n", "invalid_response"),
        (OK + b"no colon\r\n\r\n", "invalid_response"),
        (OK + b"content-length: -2\r\n\r\n", "invalid_response"),
        (OK + b"content-length: 2\r\ncontent-length: 5\r\n\r\nhello", "invalid_response"),
        (CHUNKED + b"zz\r\n", "invalid_response"),
        (CHUNKED + b"fffffffffffffffff\r\n", "invalid_response"),
    ],
)
def test_what_is_no_answer_has_a_code(answer: bytes, error: str) -> None:
    assert code(answered(answer)) == error


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello", 204),
        (b"HTTP/1.0 200 OK\r\n\r\n", 200),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n", 201),
        (b"HTTP/1.1 999 Own\r\ncontent-length: 0\r\n\r\n", 999),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n\x00\x01", 101),
        (OK + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", 200),
    ],
)
def test_odd_answers_that_http_allows(answer: bytes, status: int) -> None:
    response = answered(answer)
    assert (response.status, response.failure) == (status, None)


def test_only_the_final_headers_are_kept_neither_interim_ones_nor_trailers() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nx: early\r\n\r\n"
    trailer = b"0\r\nx: late\r\nHTTP/1.1 500 Late\r\n: none\r\n\r\n"
    response = answered(early, OK + b"x: one\r\nX:  two \r\ntransfer-encoding: chunked\r\n\r\n", trailer)
    assert response.headers["x"] == "one, two"
    assert "link" not in response.headers


def test_the_bytes_of_a_header_beyond_ascii_are_kept_readable() -> None:
    assert answered(OK, b"x: \xff\xc3\xbc\r\ncontent-length: 0\r\n\r\n").headers["x"] == "\xff\xc3\xbc"


def test_a_hundred_hostile_answers_at_once_leave_the_others_alone() -> None:
    def pieces() -> Iterable[bytes]:
        return endless(LINE, OK)()

    from tests.egress.posting import request, sent

    with answering(pieces) as hostile, answering(lambda: [OK + b"content-length: 0\r\n\r\n"]) as healthy:
        wanted = [request(url) for _ in range(50) for url in (hostile.url, healthy.url)]
        responses = sent(wanted, may_connect=anywhere)
    codes = {(one.request.url, code(one)) for one in responses}
    assert codes == {(hostile.url, "response_too_large"), (healthy.url, None)}
