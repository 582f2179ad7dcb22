import ipaddress
from collections.abc import Iterator

import pytest

from functions.domain import egress
from functions.settings import settings


@pytest.fixture(autouse=True)
def policy(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The policy of a deployment on AWS."""
    monkeypatch.setenv("EGRESS_SCHEMES", "https")
    monkeypatch.setenv("EGRESS_PORTS", "443,8443")
    monkeypatch.setenv("EGRESS_ALLOWED_NETWORKS", "")
    forget()
    yield monkeypatch
    forget()


def forget() -> None:
    settings.cache_clear()
    egress.is_allowed.cache_clear()
    egress._let_through.cache_clear()


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert egress.is_allowed(address)


@pytest.mark.parametrize("network", [str(network) for network in egress.REFUSED])
def test_every_special_range_is_refused_to_its_edges(network: str) -> None:
    parsed = ipaddress.ip_network(network)
    assert not egress.is_allowed(str(parsed[0]))
    assert not egress.is_allowed(str(parsed[-1]))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "169.254.169.254",
        "::1",
        "::ffff:169.254.169.254",
        "::ffff:8.8.8.8",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "fd00:ec2::254",
        "fe80::1%eth0",
        "::127.0.0.1",
        "255.255.255.255",
        "not an address",
    ],
)
def test_tricky_addresses_are_refused(address: str) -> None:
    assert not egress.is_allowed(address)


def test_a_named_network_is_let_through_and_nothing_beside_it(policy: pytest.MonkeyPatch) -> None:
    policy.setenv("EGRESS_ALLOWED_NETWORKS", "127.0.0.0/8, ::1/128")
    forget()
    assert egress.is_allowed("127.0.0.1")
    assert egress.is_allowed("::1")
    assert not egress.is_allowed("10.0.0.1")
    assert not egress.is_allowed("::ffff:127.0.0.1")


@pytest.mark.parametrize(
    "url", ["https://example.com", "https://example.com:8443/a?b=c", "https://xn--bcher-kva.example/"]
)
def test_urls_that_may_be_configured(url: str) -> None:
    egress.check_url(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com/", "begin with https"),
        ("ftp://example.com/", "begin with https"),
        ("https://", "name a host"),
        ("https:///path", "name a host"),
        ("https://user@example.com/", "credentials"),
        ("https://user:pass@example.com/", "credentials"),
        ("https://example.com:22/", "one of the ports"),
        ("https://example.com:99999/", "a port from 1"),
        ("https://example.com:0/", "a port from 1"),
        ("https://example.com:https/", "a port from 1"),
        ("https://127.0.0.1/", "private or special"),
        ("https://[::1]/", "private or special"),
        ("https://169.254.169.254/latest/meta-data", "private or special"),
        ("https://bücher.example/", "ASCII"),
        ("https://example.com/a b", "ASCII"),
        ("https://example.com/\r\nx: y", "ASCII"),
        ("https://example.com\\@evil.example/", "ASCII"),
        ("https://example.com/" + "a" * 2048, "at most"),
        ("https://[::1/", "IPv6"),
        ("//example.com", "begin with https"),
        ("", "ASCII"),
    ],
)
def test_urls_that_may_not(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        egress.check_url(url)


def test_the_port_counts_when_it_is_dialled_too() -> None:
    assert egress.may_connect("8.8.8.8", 443)
    assert not egress.may_connect("8.8.8.8", 25)
    assert not egress.may_connect("10.0.0.1", 443)
