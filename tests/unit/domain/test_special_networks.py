import ipaddress
from pathlib import Path

import pytest

from functions.domain.special_networks import SPECIAL, is_special, may_open

DOCUMENT = Path(__file__).parents[3] / "docs" / "egress.md"


@pytest.mark.parametrize("network", [str(special.network) for special in SPECIAL])
def test_every_special_network_is_special_to_its_edges(network: str) -> None:
    parsed = ipaddress.ip_network(network)
    assert is_special(parsed[0])
    assert is_special(parsed[-1])


@pytest.mark.parametrize(
    "address",
    [
        *("1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "93.184.216.34", "100.63.255.255", "100.128.0.0"),
        *("126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0"),
        *("192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255"),
        *("2001:200::1", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "2003::1", "3ffe::1"),
    ],
)
def test_what_lies_beside_them_is_not(address: str) -> None:
    assert not is_special(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("::ffff:8.8.8.8", "IPv4-mapped, even of a public address"),
        ("::ffff:0:8.8.8.8", "IPv4-translated"),
        ("::8.8.8.8", "IPv4-compatible"),
        ("64:ff9b::8.8.8.8", "NAT64"),
        ("64:ff9b:1:a00:0:100::", "local NAT64 of 10.0.0.1"),
        ("2002:a00:1::1", "6to4 of 10.0.0.1"),
        ("2001:0:a00:1::", "Teredo"),
        ("2001:10::1", "ORCHID"),
        ("2001:20::1", "ORCHIDv2"),
        ("2a00:1450::5efe:10.0.0.1", "ISATAP under somebody's network"),
        ("2a00:1450::200:5efe:10.0.0.1", "ISATAP, of a public address"),
        ("5f00::1", "SRv6"),
        ("4000::1", "not given out"),
        ("1fff:ffff::1", "not given out"),
        ("e000::1", "not given out"),
        ("fd00:ec2::254", "EC2's metadata by IPv6"),
    ],
)
def test_ipv6_that_leads_elsewhere_or_nowhere_is_special(address: str, what: str) -> None:
    assert is_special(ipaddress.ip_address(address)), what


@pytest.mark.parametrize(
    "network", ["127.0.0.0/8", "10.1.2.0/24", "172.16.0.0/12", "::1/128", "fd12::/16", "127.0.0.1/32"]
)
def test_private_networks_may_be_opened(network: str) -> None:
    assert may_open(ipaddress.ip_network(network))


@pytest.mark.parametrize(
    "network",
    [
        *(
            "0.0.0.0/0",
            "10.0.0.0/7",
            "8.8.8.8/32",
            "169.254.0.0/16",
            "169.254.169.254/32",
            "0.0.0.0/8",
            "224.0.0.0/4",
        ),
        *(
            "::/0",
            "::/96",
            "fe80::/10",
            "::ffff:0:0/96",
            "::ffff:10.0.0.0/104",
            "64:ff9b::/96",
            "2002::/16",
            "ff00::/8",
        ),
    ],
)
def test_what_is_wider_public_or_leads_elsewhere_may_not(network: str) -> None:
    assert not may_open(ipaddress.ip_network(network))


def test_the_document_has_the_same_table() -> None:
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in DOCUMENT.read_text().splitlines()]
    shown = {ipaddress.ip_network(row[0]): row[1:] for row in rows if len(row) == 4 and "/" in row[0]}
    assert shown == {
        special.network: [special.purpose, special.source, "yes" if special.may_open else "no"]
        for special in SPECIAL
    }
