"""HTTP over TLS to hosts that customers named: whom it trusts, that it ends in time and keeps connections."""

import gzip
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from functions.adapters import guarded
from functions.settings import settings
from tests.egress.certificates import Signed, bundle, signed

Act = Callable[[BaseHTTPRequestHandler], None]


class Here:
    def __init__(self) -> None:
        self.act: Act = answered
        self.ports: list[int] = []  # of those who asked: another one is another connection
        self.headers: list[dict[str, str]] = []  # that they sent
        self.over = threading.Event()
        self.url = ""


def answered(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "2")
    handler.end_headers()
    handler.wfile.write(b"ok")


@pytest.fixture(scope="module")
def authority() -> Signed:
    return signed("tests", is_authority=True)


@pytest.fixture
def here(authority: Signed, tmp_path: Path) -> Iterator[Here]:
    """https://localhost, with a certificate of the tests' own authority."""
    found = Here()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            found.ports.append(self.client_address[1])
            found.headers.append({name.lower(): value for name, value in self.headers.items()})
            found.act(self)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Whoever does not trust it, or goes away, is what some tests are about."""

    pem = tmp_path / "server.pem"
    pem.write_bytes(signed("localhost", authority).pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"https://localhost:{server.server_port}/"
    yield found
    found.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("EGRESS_ALLOWED_NETWORKS", "127.0.0.0/8,::1/128")
    caches = (settings, guarded.egress.is_allowed, guarded._transport)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.fixture
def trusted(authority: Signed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = bundle(authority, tmp_path / "roots.pem")
    monkeypatch.setattr(guarded.certifi, "where", lambda: str(file))
    made = ssl.create_default_context

    def lenient(**of: Any) -> ssl.SSLContext:
        """The tests' certificates have not all that RFC 5280 wants of them."""
        context = made(**of)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(guarded.ssl, "create_default_context", lenient)


def saying(answer: bytes, *more: bytes) -> Act:
    """Just these bytes; with `more`, those without end."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(answer)
        while more:
            handler.wfile.write(b"".join(more))

    return act


def post(here: Here, seconds: float = 20) -> guarded.Answer:
    ends_at = time.monotonic() + seconds
    return guarded.post(here.url, json={}, headers={}, ends_at=ends_at, most_bytes=1000)


@pytest.mark.usefixtures("trusted")
def test_connections_are_kept_and_certificates_read_once(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    assert post(here).body == b"ok"
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *given, **_: read.append(given))
    for _ in range(3):
        assert post(here).status == 200
    assert len(set(here.ports)) == 1
    guarded._transport().close()
    assert post(here).status == 200
    assert len(set(here.ports)) == 2, "another connection"
    assert read == []


def test_whom_nobody_vouches_for_is_told_nothing(here: Here) -> None:
    with pytest.raises(guarded.BrokenConnectionError, match="certificate verify failed"):
        post(here)
    assert here.ports == []


@pytest.mark.usefixtures("trusted")
def test_a_certificate_is_for_its_name(here: Here) -> None:
    here.url = here.url.replace("localhost", "127.0.0.1")
    with pytest.raises(guarded.BrokenConnectionError, match="certificate"):
        post(here)
    assert here.ports == []


@pytest.mark.usefixtures("trusted")
def test_bytes_that_drip_through_tls_end_with_the_call(here: Here) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
        while not here.over.wait(0.05):
            handler.wfile.write(b"x")

    here.act = drip
    began = time.monotonic()
    with pytest.raises(guarded.TimeIsUpError):
        post(here, seconds=2)
    assert time.monotonic() - began < 20, "it would drip until the test is over"


@pytest.mark.usefixtures("trusted")
def test_a_connection_that_was_dropped_meanwhile_is_made_anew(here: Here) -> None:
    def once(handler: BaseHTTPRequestHandler) -> None:
        answered(handler)
        handler.close_connection = True

    here.act = once
    for _ in range(3):
        assert post(here).body == b"ok"
    assert len(set(here.ports)) == 3


@pytest.mark.usefixtures("trusted")
def test_nothing_of_one_call_is_in_another(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One customer's host could else set what another's is sent."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login me password secret")
    monkeypatch.setenv("NETRC", str(netrc))
    here.act = saying(b"HTTP/1.1 200 OK\r\nset-cookie: a=b; path=/\r\ncontent-length: 2\r\n\r\nok")
    for _ in range(2):
        assert post(here).headers["set-cookie"] == "a=b; path=/"
    for sent in here.headers:
        assert set(sent) == {
            *("host", "user-agent", "accept", "accept-encoding"),
            *("content-type", "content-length"),
        }


REDIRECT = b"HTTP/1.1 302 Found\r\nlocation: %s\r\n%s\r\n"
BOMB = gzip.compress(b"\0" * 10_000_000)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    "act",
    [
        saying(REDIRECT % (b"http://[", b"content-length: 0\r\n")),
        saying(REDIRECT % (b"http://x\xff\xfe/", b"content-length: 0\r\n")),
        saying(REDIRECT % (b"/elsewhere", b"content-length: 999999999999\r\n"), b"x" * (1 << 16)),
        saying(REDIRECT % (b"/", b"content-encoding: gzip\r\ncontent-length: %d\r\n" % len(BOMB)) + BOMB),
    ],
)
def test_of_a_redirect_little_is_read_and_nothing_understood(here: Here, act: Act) -> None:
    here.act = act
    answer = post(here)
    assert answer.status == 302
    assert len(answer.body) <= guarded.REFUSAL_BYTES + guarded.CHUNK_BYTES


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    "act",
    [
        saying(b"nonsense\r\n\r\n"),
        saying(b"HTTP/1.1 2000000 OK\r\n\r\n"),
        saying(b"HTTP/9.9 200 OK\r\n\r\n"),
        saying(OK + b"x: y\r\n" * 101 + b"\r\n"),
        saying(OK + b"x: " + b"y" * 70_000 + b"\r\n\r\n"),
        saying(OK + b"content-length: 1, 2\r\n\r\nx"),
        saying(OK + b"content-length: 9\r\n\r\nx"),
        saying(OK + b"transfer-encoding: chunked\r\n\r\nno number\r\nx"),
        saying(OK + b"content-type: multipart/x; boundary*0=a; boundary*=b\r\n\r\n"),
        saying(OK + b"content-type: multipart/x; boundary*=\0''b\r\n\r\n"),
        saying(OK + b"content-type: multipart/x; boundary*" + b"9" * 5_000 + b"=x\r\n\r\n"),
    ],
)
def test_what_is_no_http_is_a_broken_connection(here: Here, act: Act) -> None:
    here.act = act
    with pytest.raises(guarded.BrokenConnectionError):
        post(here)


@pytest.mark.usefixtures("trusted")
def test_what_says_to_go_on_for_ever_is_over_in_time(here: Here) -> None:
    here.act = saying(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
    with pytest.raises(guarded.TimeIsUpError):
        post(here, seconds=1)
