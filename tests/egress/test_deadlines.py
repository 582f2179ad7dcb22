"""The webhook's timeout is for everything: whatever is drawn out ends there, with a code for how far it came."""

import time
from collections.abc import Callable, Iterable, Iterator
from socket import create_server

import pytest

from tests.egress.hostile import CHUNKED, OK, answering, black_hole
from tests.egress.internet import Internet
from tests.egress.posting import anywhere, code, post, request, sent
from tests.integration.endpoint import Endpoint

PUBLIC = "93.184.216.34"
DEADLINE_MS = 300
FAR_PAST_MS = 10_000  # no bound on the machine's speed: the drip would go on for minutes


def drip(piece: bytes, head: bytes = b"") -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        yield head
        for _ in range(6000):
            time.sleep(0.02)
            yield piece

    return pieces


@pytest.mark.parametrize(
    "answer",
    [
        drip(b"x", OK + b"content-length: 9999\r\n\r\n"),
        drip(b"1\r\nx\r\n", CHUNKED),
        drip(b"x", CHUNKED + b"1;"),
        drip(b"x: y\r\n", CHUNKED + b"0\r\n"),
        drip(b"x: y\r\n", OK),
        drip(b"y", OK + b"x: "),
        drip(b"H", b"HTTP/1.1 200 "),
        drip(b"HTTP/1.1 102 Processing\r\n\r\n"),
        drip(b"", b""),
    ],
    ids=[
        "body",
        "chunks",
        "a chunk's extension",
        "trailers",
        "headers",
        "a header",
        "status",
        "1xx",
        "nothing",
    ],
)
def test_a_slow_drip_is_cut_at_the_deadline(answer: Callable[[], Iterable[bytes]]) -> None:
    with answering(answer) as server:
        response = post(server.url, DEADLINE_MS, may_connect=anywhere)
    assert code(response) == "timeout"
    assert DEADLINE_MS <= response.time_ms < FAR_PAST_MS


def test_an_endpoint_that_never_answers_times_out() -> None:
    with answering(drip(b"")) as server:
        response = post(server.url, DEADLINE_MS, may_connect=anywhere)
    assert response.failure is not None
    assert response.failure.code == "timeout"
    assert "webhook's timeout" in response.failure.message


def test_a_connection_that_is_never_made_times_out_with_a_code_of_its_own(net: Internet) -> None:
    net.names["hole.test"] = [PUBLIC]
    with black_hole() as hole:
        net.routes[PUBLIC] = hole
        for scheme in ("http", "https"):
            response = post(f"{scheme}://hole.test/", DEADLINE_MS)
            assert code(response) == "connect_timeout"
            assert response.time_ms < FAR_PAST_MS


def test_a_handshake_that_is_never_finished_is_a_tls_error(net: Internet) -> None:
    net.names["mute.test"] = [PUBLIC]
    with answering(drip(b"\x16")) as server:
        net.routes[PUBLIC] = server.address
        response = post("https://mute.test/", DEADLINE_MS)
    assert code(response) == "tls_error"
    assert response.time_ms < FAR_PAST_MS


def test_a_name_server_that_does_not_answer_is_a_dns_error(net: Internet) -> None:
    net.names["slow.test"], net.slow["slow.test"] = [PUBLIC], 2
    response = post("http://slow.test/", DEADLINE_MS)
    assert response.failure is not None
    assert response.failure.code == "dns_error"
    assert "in time" in response.failure.message
    assert net.dialled == []


def test_a_name_that_does_not_exist_and_a_port_that_nobody_listens_on(net: Internet) -> None:
    assert code(post("http://nobody.test/")) == "dns_error"
    with create_server(("127.0.0.1", 0)) as closed:
        net.names["closed.test"], net.routes[PUBLIC] = [PUBLIC], closed.getsockname()
    assert code(post("http://closed.test/")) == "connection_failed"


def test_a_name_that_takes_its_time_keeps_no_other_request_waiting(net: Internet, receiver: Endpoint) -> None:
    """As long as libcurl has threads to resolve with: it has 20, two to a name."""
    net.names |= {"slow.test": [PUBLIC], "quick.test": [PUBLIC]}
    net.slow["slow.test"] = 2
    net.routes[PUBLIC] = ("127.0.0.1", int(receiver.url.split(":")[2].partition("/")[0]))
    order = [one.request.url for one in sent([request("http://slow.test/"), request("http://quick.test/")])]
    assert order == ["http://quick.test/", "http://slow.test/"]


def test_a_body_that_nobody_reads_ends_at_the_deadline() -> None:
    from functions.adapters.sender import Request

    def never_read() -> Iterable[bytes]:
        time.sleep(1)
        return ()

    with answering(never_read) as server:
        wanted = Request("r", server.url, {}, bytes(64 << 20), DEADLINE_MS)
        (response,) = sent([wanted], may_connect=anywhere)
    assert code(response) == "timeout"
