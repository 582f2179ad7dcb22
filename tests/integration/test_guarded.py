"""HTTP over TLS to hosts that customers named: whom it trusts, that it ends in time and keeps connections."""

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
    caches = (settings, guarded.egress.is_allowed, guarded._session)
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
    guarded._session().close()
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
