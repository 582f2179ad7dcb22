"""An authority of the tests' own, and servers with certificates of every kind."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import create_server

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

ROOTS = Path(certifi.where())
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True)
class Signed:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def pem(self) -> bytes:
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + self.certificate.public_bytes(Encoding.PEM)


def signed(
    name: str, issuer: Signed | None = None, *, is_authority: bool = False, days: tuple[int, int] = (-1, 30)
) -> Signed:
    """A certificate for a host name, by an authority or by itself, valid for these days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) + timedelta(days=days[0]))
        .not_valid_after(datetime.now(UTC) + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(issuer.key if issuer else key, hashes.SHA256())
    )
    return Signed(certificate, key)


def bundle(authority: Signed, path: Path) -> Path:
    """The public roots and one more."""
    path.write_bytes(ROOTS.read_bytes() + authority.certificate.public_bytes(Encoding.PEM))
    return path


@dataclass
class TlsServer:
    address: tuple[str, int] = ("", 0)
    asked_for: list[str | None] = field(default_factory=list)  # server names (SNI)
    versions: list[str | None] = field(default_factory=list)
    resumed: list[bool] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)


@contextmanager
def tls_server(
    presented: Signed, path: Path, change: Callable[[ssl.SSLContext], None] = lambda _context: None
) -> Iterator[TlsServer]:
    """It answers each connection once; `change` may make its settings worse."""
    here = TlsServer()
    path.write_bytes(presented.pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    context.sni_callback = lambda _socket, name, _context: here.asked_for.append(name)
    change(context)

    def serve() -> None:
        with suppress(OSError):  # the server is closed at the end
            while True:
                connection = server.accept()[0]
                with suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
                    here.versions.append(secured.version())
                    here.resumed.append(bool(secured.session_reused))
                    here.requests.append(secured.recv(1 << 16))
                    secured.sendall(ANSWER)

    with create_server(("127.0.0.1", 0), backlog=64) as server:
        here.address = server.getsockname()
        threading.Thread(target=serve, daemon=True).start()
        yield here
