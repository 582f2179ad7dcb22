"""TLS: the certificate is verified for the host that was asked for, and nothing older than TLS 1.2 is spoken."""

import ssl
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import certifi
import pytest

from tests.egress.certificates import Signed, bundle, signed, tls_server
from tests.egress.hostile import answering
from tests.egress.internet import Internet
from tests.egress.posting import code, post

PUBLIC = "93.184.216.34"


@pytest.fixture(scope="module")
def authority() -> Signed:
    return signed("Authority", is_authority=True)


@pytest.fixture(autouse=True)
def trusted(authority: Signed, tmp_path: Path, policy: pytest.MonkeyPatch, net: Internet) -> Iterator[Path]:
    """A bundle that holds the authority, and a name for the server."""
    path = bundle(authority, tmp_path / "roots.pem")
    policy.setattr(certifi, "where", lambda: str(path))
    net.names["secure.test"] = [PUBLIC]
    return path


def at_most(version: ssl.TLSVersion) -> Callable[[ssl.SSLContext], None]:
    def change(context: ssl.SSLContext) -> None:
        with warnings.catch_warnings(action="ignore"):  # they are old, which is what is tried
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = min(version, ssl.TLSVersion.TLSv1)
            context.maximum_version = version

    return change


def wants_a_certificate(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_good_certificate_is_taken_and_the_host_named_in_the_clear_and_in_the_request(
    net: Internet, authority: Signed, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    with tls_server(signed("secure.test", authority), tmp_path / "server.pem", at_most(version)) as server:
        net.routes[PUBLIC] = server.address
        assert post("https://secure.test:8443/hook?a=b").status == 200
    assert server.versions == [version.name.replace("_", ".")]
    assert server.asked_for == ["secure.test"]
    assert server.requests[0].startswith(b"POST /hook?a=b HTTP/1.1\r\nHost: secure.test:8443\r\n")
    assert net.dialled == [(PUBLIC, 8443)]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda authority: signed("secure.test", authority, days=(-30, -1)), "has expired"),
        (lambda authority: signed("secure.test", authority, days=(1, 30)), "not valid yet"),
        (lambda _authority: signed("secure.test"), "self-signed"),
        (
            lambda _authority: signed("secure.test", signed("Authority", is_authority=True)),
            "could not be verified",
        ),
        (lambda _authority: signed("secure.test", signed("Other", is_authority=True)), "issuer is unknown"),
        (lambda authority: signed("secure.test", signed("Customer", authority)), "issuer is unknown"),
        (lambda authority: signed("other.test", authority), "another host name"),
        (lambda authority: signed("*.secure.test", authority), "another host name"),
        (lambda authority: signed("*.test", authority), "another host name"),
        (lambda authority: signed("secure.test.evil.test", authority), "another host name"),
    ],
)
def test_a_certificate_that_proves_nothing_is_refused_and_the_reason_told(
    net: Internet, authority: Signed, tmp_path: Path, make: Callable[[Signed], Signed], says: str
) -> None:
    with tls_server(make(authority), tmp_path / "server.pem") as server:
        net.routes[PUBLIC] = server.address
        response = post("https://secure.test/")
    assert response.failure is not None
    assert response.failure.code == "tls_error"
    assert says in response.failure.message
    assert response.status is None
    assert server.requests in ([], [b""]), "nothing of the request was sent"


def test_an_authority_that_is_not_in_the_bundle_is_not_trusted(
    net: Internet, authority: Signed, tmp_path: Path, policy: pytest.MonkeyPatch, trusted: Path
) -> None:
    trusted.write_bytes(bundle(signed("Another", is_authority=True), tmp_path / "other.pem").read_bytes())
    with tls_server(signed("secure.test", authority), tmp_path / "server.pem") as server:
        net.routes[PUBLIC] = server.address
        assert code(post("https://secure.test/")) == "tls_error"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_a_server_without_tls_1_2_is_refused(
    net: Internet, authority: Signed, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    with tls_server(signed("secure.test", authority), tmp_path / "server.pem", at_most(version)) as server:
        net.routes[PUBLIC] = server.address
        response = post("https://secure.test/")
    assert response.failure is not None
    assert response.failure.code == "tls_error"
    assert "TLS 1.2 or newer" in response.failure.message


def test_a_server_that_asks_for_a_certificate_gets_none(net: Internet, authority: Signed, tmp_path: Path) -> None:
    with tls_server(signed("secure.test", authority), tmp_path / "server.pem", wants_a_certificate) as server:
        net.routes[PUBLIC] = server.address
        assert code(post("https://secure.test/")) == "tls_error"


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b"", b"\x15\x03\x01"]
)
def test_a_server_that_speaks_something_else_is_a_tls_error(net: Internet, answer: bytes) -> None:
    with answering(lambda: [answer]) as server:
        net.routes[PUBLIC] = server.address
        assert code(post("https://secure.test/")) == "tls_error"


def test_the_bundle_is_read_once_and_sessions_are_taken_up_again(
    net: Internet, authority: Signed, tmp_path: Path, trusted: Path
) -> None:
    with tls_server(signed("secure.test", authority), tmp_path / "server.pem") as server:
        net.routes[PUBLIC] = server.address
        assert post("https://secure.test/").status == 200
        trusted.unlink()
        assert post("https://secure.test/").status == 200
        # A webhook with networks of its own shares no connection, but it may share what proved the server.
        assert post("https://secure.test/", allowed=(f"{PUBLIC}/32",)).status == 200
    assert len(net.dialled) == 3
    assert any(server.resumed[1:])
