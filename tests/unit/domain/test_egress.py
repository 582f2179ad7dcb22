from collections.abc import Iterator

import pytest

from functions.domain import egress
from functions.settings import settings
from tests.egress_policy import egress_policy, forget


@pytest.fixture(autouse=True)
def policy(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    with egress_policy(monkeypatch) as environment:
        yield environment


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert egress.is_allowed(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "169.254.169.254", "::1", "::ffff:169.254.169.254", "::ffff:8.8.8.8", "64:ff9b::a9fe:a9fe"),
        *(
            "2002:7f00:1::",
            "fd00:ec2::254",
            "fe80::1%eth0",
            "::127.0.0.1",
            "255.255.255.255",
            "not an address",
            "",
        ),
        *("127.1", "0177.0.0.1", "2130706433", "8.8.8.8 ", "8.8.8.8\n", "\uff12.2.2.2", "1.2.3.\u0664"),
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
    ("networks", "why"),
    [
        ("0.0.0.0/0", "may not be opened"),
        ("127.0.0.0/8,169.254.169.254/32", "169.254.169.254/32 may not be opened"),
        ("::ffff:10.0.0.0/104", "may not be opened"),
        ("10.0.0.1/8", "has host bits set"),
        ("intranet", "does not appear to be"),
        ("10.0.0.0/8;127.0.0.0/8", "does not appear to be"),
    ],
)
def test_a_policy_that_opens_too_much_stops_with_the_settings_name(
    policy: pytest.MonkeyPatch, networks: str, why: str
) -> None:
    policy.setenv("EGRESS_ALLOWED_NETWORKS", networks)
    forget()
    for asked in (egress.check_policy, lambda: egress.is_allowed("8.8.8.8")):
        with pytest.raises(ValueError, match=f"EGRESS_ALLOWED_NETWORKS: .*{why}"):
            asked()


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("EGRESS_PORTS", "443,https", "EGRESS_PORTS: https is no port"),
        ("EGRESS_PORTS", "0", "EGRESS_PORTS: 0 is no port"),
        ("EGRESS_PORTS", "65536", "EGRESS_PORTS: 65536 is no port"),
        ("EGRESS_SCHEMES", "https,ftp", "EGRESS_SCHEMES: ftp is neither http nor https"),
        ("EGRESS_SCHEMES", "HTTPS", "EGRESS_SCHEMES: HTTPS is neither http nor https"),
        ("EGRESS_SCHEMES", " , ", "EGRESS_SCHEMES: names no scheme"),
    ],
)
def test_a_setting_that_makes_no_sense_stops_with_its_name(
    policy: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    policy.setenv(name, value)
    forget()
    with pytest.raises(ValueError, match=why):
        settings()


def test_the_port_counts_when_it_is_dialled_too() -> None:
    assert egress.may_connect("8.8.8.8", 443)
    assert not egress.may_connect("8.8.8.8", 25)
    assert not egress.may_connect("10.0.0.1", 443)


@pytest.mark.parametrize("networks", ["", "127.0.0.0/8,::1/128", "10.42.0.0/16, fd00::/8"])
def test_a_policy_that_opens_private_networks_is_one(policy: pytest.MonkeyPatch, networks: str) -> None:
    policy.setenv("EGRESS_ALLOWED_NETWORKS", networks)
    forget()
    egress.check_policy()
