"""Sending as such: what goes over the wire, on which connection, and that nothing around it leads elsewhere.

What name servers, endpoints and certificates may do to it is in tests/egress.
"""

import os
import time

import pytest

from functions.adapters import sender
from functions.adapters.sender import IN_FLIGHT, Request
from tests.egress.hostile import OK, answering
from tests.egress.posting import anywhere, code, post, sent
from tests.integration.endpoint import Endpoint

ANSWER = OK + b"content-length: 0\r\n\r\n"


def test_a_request_is_these_bytes_and_no_others() -> None:
    headers = {"content-type": "application/json", "user-agent": "Hookline/0", "x": "a\tb  c"}
    with answering(lambda: [ANSWER]) as server:
        wanted = Request("r", server.url + "a/../b?c#d", headers, b'{"n": 1}', 5000)
        assert sent([wanted], may_connect=anywhere)[0].status == 200
    assert server.heard[0].decode().replace(str(server.address[1]), "PORT").split("\r\n") == [
        "POST /b?c HTTP/1.1",
        "Host: 127.0.0.1:PORT",
        "Accept: */*",
        "content-type: application/json",
        "user-agent: Hookline/0",
        "x: a\tb  c",
        "Content-Length: 8",
        "",
        '{"n": 1}',
    ]


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"{}" * 200_000])
def test_a_body_goes_as_it_is_at_once_and_without_being_asked_for(receiver: Endpoint, body: bytes) -> None:
    """No `Expect: 100-continue`, which some servers do not answer and libcurl then waits for."""
    assert sent([Request("r", receiver.url, {}, body, 10_000)], may_connect=anywhere)[0].status == 200
    assert receiver.received[0].body == body
    assert "expect" not in receiver.received[0].headers
    assert "accept-encoding" not in receiver.received[0].headers


INJECTED = [
    ("x", "a\r\nhost: evil.example"),
    ("x", "a\nx-admin: 1"),
    ("x", "a\rx-admin: 1"),
    ("x", "a\r\n\r\nGET /admin HTTP/1.1\r\nhost: a"),
    ("x", "a\0b"),
    ("x", "a\x0bb"),
    ("x", "a\x7fb"),
    ("x", "a\x85b"),
    ("x", "a\u2028b"),
    ("x", "bücher"),
    ("x", "a\u560d\u560ab"),
    ("x\r\nx-admin: 1\r\ny", "a"),
    ("x\n", "a"),
]


@pytest.mark.parametrize(("name", "value"), INJECTED, ids=range(len(INJECTED)))
def test_a_header_that_would_begin_another_line_is_never_sent(receiver: Endpoint, name: str, value: str) -> None:
    """The API takes none of these. If one got into the table all the same, its delivery alone fails."""
    wanted = [
        Request(n, receiver.url, {"x-fine": "1"} | ({name: value} if n == 1 else {}), b"{}", 5000)
        for n in range(3)
    ]
    responses = {one.request.reference: one for one in sent(wanted, may_connect=anywhere)}
    assert code(responses[1]) == "request_failed"
    assert responses[0].status == responses[2].status == 200
    assert len(receiver.received) == 2
    assert all("x-admin" not in one.headers for one in receiver.received)


@pytest.mark.parametrize("path", ["\r\nx-admin: 1", " HTTP/1.1\r\nhost: a\r\n\r\n", "\0", "ü", "\t", "\n"])
def test_a_url_that_would_end_the_line_is_never_sent(receiver: Endpoint, path: str) -> None:
    response = post(receiver.url + path, may_connect=anywhere)
    assert code(response) == "request_failed"
    assert receiver.received == []


def test_a_proxy_of_the_environment_is_not_used(receiver: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert post(receiver.url, may_connect=anywhere).status == 200


def test_the_deadline_is_for_the_whole_request(receiver: Endpoint) -> None:
    receiver.before = lambda: time.sleep(1)
    assert code(post(receiver.url, timeout_ms=200, may_connect=anywhere)) == "timeout"


def test_an_address_is_refused_before_anything_is_sent(receiver: Endpoint) -> None:
    assert code(post(receiver.url, may_connect=lambda _address, _port: False)) == "address_refused"
    assert receiver.received == []


@pytest.mark.parametrize(
    ("allowed", "error"),
    [
        (("127.0.0.0/8",), None),
        (("198.51.100.0/24", "127.0.0.1/32"), None),
        (("198.51.100.0/24",), "address_not_in_allowlist"),
        (("::/0",), "address_not_in_allowlist"),
    ],
)
def test_a_request_goes_only_to_the_networks_it_is_allowed(
    receiver: Endpoint, allowed: tuple[str, ...], error: str | None
) -> None:
    assert code(post(receiver.url, allowed=allowed, may_connect=anywhere)) == error
    assert len(receiver.received) == (1 if error is None else 0)
    # localhost is ::1 and 127.0.0.1; where the first may be dialled, it is, and nobody listens there.
    named = post(receiver.url.replace("127.0.0.1", "localhost"), allowed=allowed, may_connect=anywhere)
    assert code(named) == ("connection_failed" if "::/0" in allowed else error)


def test_a_connection_that_another_request_opened_does_not_lead_around_the_allowlist(receiver: Endpoint) -> None:
    """Kept alive, it was opened for a request that may go anywhere: no address is dialled on it any more."""
    for _ in range(2):
        assert post(receiver.url, may_connect=anywhere).status == 200
    assert len({one.port for one in receiver.received}) == 1, "without an allowlist it is used again"
    refused = post(receiver.url, allowed=("198.51.100.0/24",), may_connect=anywhere)
    assert code(refused) == "address_not_in_allowlist"
    assert len(receiver.received) == 2


def test_a_request_with_an_allowlist_has_a_connection_of_its_own(receiver: Endpoint) -> None:
    for _ in range(2):
        assert post(receiver.url, allowed=("127.0.0.1/32",), may_connect=anywhere).status == 200
    for _ in range(2):
        assert post(receiver.url, may_connect=anywhere).status == 200
    first, second, third, fourth = (one.port for one in receiver.received)
    assert len({first, second, third}) == 3
    assert third == fourth, "the next without one keeps its connection alive as ever"


def test_more_than_fit_at_a_time_are_all_sent(receiver: Endpoint) -> None:
    wanted = [Request(n, receiver.url, {}, b"{}", 20_000) for n in range(2 * IN_FLIGHT)]
    responses = sent(wanted, may_connect=anywhere)
    assert sorted(one.request.reference for one in responses) == list(range(2 * IN_FLIGHT))
    assert {one.status for one in responses} == {200}


def test_the_resolver_is_told_not_to_wait_long_for_a_silent_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a thread of libcurl's for as long; what an operator has set is left alone."""
    for before, after in ((None, "timeout:2 attempts:2"), ("timeout:1", "timeout:1")):
        monkeypatch.delenv("RES_OPTIONS", raising=False)
        if before:
            monkeypatch.setenv("RES_OPTIONS", before)
        sender._multi.cache_clear()
        sender._multi()
        assert os.environ["RES_OPTIONS"] == after
