"""Sending as such: TLS is verified, deadlines are for everything, nothing of the environment leads elsewhere."""

import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from functions.adapters.sender import IN_FLIGHT, Request, Response, send
from functions.domain.allowlist import networks
from tests.integration.endpoint import Endpoint, endpoint


def anywhere(_address: str, _port: int) -> bool:
    return True


def post(url: str, timeout_ms: int = 3000, allowed: tuple[str, ...] = ()) -> Response:
    headers = {"content-type": "application/json"}
    wanted = Request("reference", url, headers, b"{}", timeout_ms, networks(allowed))
    (response,) = [one for one in send([wanted], may_connect=anywhere) if one is not None]
    return response


@pytest.fixture
def receiver() -> Iterator[Endpoint]:
    with endpoint() as here:
        yield here


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[str]:
    """The URL of a server whose certificate nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_certificate_nobody_vouches_for_is_refused(self_signed: str) -> None:
    response = post(self_signed)
    assert response.status is None
    assert response.failure is not None
    assert response.failure.code == "tls_error"


def test_the_deadline_is_for_the_whole_request(receiver: Endpoint) -> None:
    receiver.before = lambda: time.sleep(1)
    response = post(receiver.url, timeout_ms=200)
    assert response.failure is not None
    assert response.failure.code == "timeout"


def test_a_slow_drip_is_cut_at_the_deadline() -> None:
    import socket

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
                for _ in range(100):
                    connection.sendall(b"x")
                    time.sleep(0.05)
            except OSError:
                return  # the client has hung up, as it should

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        response = post(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout_ms=300)
        thread.join(10)
    assert response.failure is not None
    assert response.failure.code == "timeout"
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "connection_closed"),
        (b"SSH-2.0-OpenSSH\r\n", "invalid_response"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx", "connection_closed"),
    ],
)
def test_what_is_no_answer_has_a_code(answer: bytes, code: str) -> None:
    import socket

    def once(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=once, args=(server,), daemon=True)
        thread.start()
        response = post(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join(10)
    assert response.failure is not None
    assert response.failure.code == code


def test_a_proxy_of_the_environment_is_not_used(receiver: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert post(receiver.url).status == 200


def test_an_address_is_refused_before_anything_is_sent(receiver: Endpoint) -> None:
    wanted = Request("r", receiver.url, {}, b"{}", 1000)
    (response,) = [one for one in send([wanted], may_connect=lambda _a, _p: False) if one is not None]
    assert response.failure is not None
    assert response.failure.code == "address_refused"
    assert receiver.received == []


@pytest.mark.parametrize(
    ("allowed", "code"),
    [
        (("127.0.0.0/8",), None),
        (("198.51.100.0/24", "127.0.0.1/32"), None),
        (("198.51.100.0/24",), "address_not_in_allowlist"),
        (("::/0",), "address_not_in_allowlist"),
    ],
)
def test_a_request_goes_only_to_the_networks_it_is_allowed(
    receiver: Endpoint, allowed: tuple[str, ...], code: str | None
) -> None:
    response = post(receiver.url, allowed=allowed)
    assert (response.failure and response.failure.code) == code
    assert len(receiver.received) == (1 if code is None else 0)
    named = post(receiver.url.replace("127.0.0.1", "localhost"), allowed=allowed)
    assert (named.failure and named.failure.code) == code, "the address counts that the name resolves to"


def test_a_connection_that_another_request_opened_does_not_lead_around_the_allowlist(receiver: Endpoint) -> None:
    """Kept alive, it was opened for a request that may go anywhere: no address is dialled on it any more."""
    assert post(receiver.url).status == 200
    assert post(receiver.url).status == 200
    assert len({one.port for one in receiver.received}) == 1, "without an allowlist it is used again"
    refused = post(receiver.url, allowed=("198.51.100.0/24",))
    assert refused.failure is not None
    assert refused.failure.code == "address_not_in_allowlist"
    assert len(receiver.received) == 2


def test_a_request_with_an_allowlist_has_a_connection_of_its_own(receiver: Endpoint) -> None:
    for _ in range(2):
        assert post(receiver.url, allowed=("127.0.0.1/32",)).status == 200
    for _ in range(2):
        assert post(receiver.url).status == 200
    first, second, third, fourth = (one.port for one in receiver.received)
    assert len({first, second, third}) == 3
    assert third == fourth, "the next without one keeps its connection alive as ever"


def test_more_than_fit_at_a_time_are_all_sent(receiver: Endpoint) -> None:
    wanted = [Request(n, receiver.url, {}, b"{}", 20_000) for n in range(2 * IN_FLIGHT)]
    responses = [one for one in send(wanted, may_connect=anywhere) if one is not None]
    assert sorted(one.request.reference for one in responses) == list(range(2 * IN_FLIGHT))
    assert {one.status for one in responses} == {200}
