"""Networks that no delivery may reach (P10): the IANA special-purpose registries, and what leads around them.

Written out, because `ipaddress.is_global` differs between Python's versions and lets NAT64, 6to4, multicast and
SRv6 through. docs/egress.md shows the same table; a test holds the two together.
"""

import ipaddress
from typing import NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Special(NamedTuple):
    """A network, what it is for, and where that is written.

    `may_open`: a deployment may let deliveries into it, or into a part of it. Never so for what leads to another
    address than it says, to many at once, or to the machine's keys.
    """

    network: Network
    purpose: str
    source: str
    may_open: bool = False


SPECIAL = tuple(
    Special(ipaddress.ip_network(network), purpose, source, opened == "may be opened")
    for network, purpose, source, opened in (
        ("0.0.0.0/8", "this host", "RFC 791", ""),
        ("10.0.0.0/8", "private", "RFC 1918", "may be opened"),
        ("100.64.0.0/10", "carrier-grade NAT", "RFC 6598", "may be opened"),
        ("127.0.0.0/8", "loopback", "RFC 1122", "may be opened"),
        ("169.254.0.0/16", "link-local, cloud metadata", "RFC 3927", ""),
        ("172.16.0.0/12", "private", "RFC 1918", "may be opened"),
        ("192.0.0.0/24", "IETF protocol assignments", "RFC 6890", ""),
        ("192.0.2.0/24", "documentation", "RFC 5737", ""),
        ("192.31.196.0/24", "AS112", "RFC 7535", ""),
        ("192.52.193.0/24", "AMT", "RFC 7450", ""),
        ("192.88.99.0/24", "6to4 relays", "RFC 7526", ""),
        ("192.168.0.0/16", "private", "RFC 1918", "may be opened"),
        ("192.175.48.0/24", "AS112", "RFC 7534", ""),
        ("198.18.0.0/15", "benchmarking", "RFC 2544", "may be opened"),
        ("198.51.100.0/24", "documentation", "RFC 5737", ""),
        ("203.0.113.0/24", "documentation", "RFC 5737", ""),
        ("224.0.0.0/4", "multicast", "RFC 5771", ""),
        ("240.0.0.0/4", "reserved, broadcast", "RFC 1112, RFC 919", ""),
        ("::/128", "unspecified", "RFC 4291", ""),
        ("::1/128", "loopback", "RFC 4291", "may be opened"),
        ("::/96", "IPv4-compatible", "RFC 4291", ""),
        ("::ffff:0:0/96", "IPv4-mapped", "RFC 4291", ""),
        ("::ffff:0:0:0/96", "IPv4-translated", "RFC 2765", ""),
        ("64:ff9b::/96", "NAT64", "RFC 6052", ""),
        ("64:ff9b:1::/48", "local NAT64", "RFC 8215", ""),
        ("100::/64", "discard", "RFC 6666", ""),
        ("100:0:0:1::/64", "dummy prefix", "RFC 9780", ""),
        ("2001::/23", "IETF protocol assignments, Teredo, ORCHID", "RFC 2928, RFC 4380, RFC 7343", ""),
        ("2001:db8::/32", "documentation", "RFC 3849", ""),
        ("2002::/16", "6to4", "RFC 3056", ""),
        ("2620:4f:8000::/48", "AS112", "RFC 7534", ""),
        ("3fff::/20", "documentation", "RFC 9637", ""),
        ("5f00::/16", "SRv6 segments", "RFC 9602", ""),
        ("fc00::/7", "unique local", "RFC 4193", "may be opened"),
        ("fe80::/10", "link-local", "RFC 4291", ""),
        ("fec0::/10", "site-local", "RFC 3879", ""),
        ("ff00::/8", "multicast", "RFC 4291", ""),
    )
)
# All that is given out of IPv6 for use from one host to another (RFC 4291, 2.4; the IANA registry of IPv6 space).
UNICAST = ipaddress.IPv6Network("2000::/3")
# An interface identifier that holds an IPv4 address (RFC 5214, 6.1), whatever the network before it.
ISATAP = frozenset({0x00005EFE, 0x02005EFE})


def is_special(address: Address) -> bool:
    """Whether the address is anything but an ordinary one of the public internet."""
    if isinstance(address, ipaddress.IPv6Address) and not _is_plain(address):
        return True
    return not address.is_global or any(address in special.network for special in SPECIAL)


def may_open(network: Network) -> bool:
    """Whether a deployment may let deliveries into the network: it is all inside one that may be opened."""
    return any(
        special.may_open and special.network.version == network.version and network.subnet_of(special.network)  # type: ignore[arg-type]
        for special in SPECIAL
    )


def _is_plain(address: ipaddress.IPv6Address) -> bool:
    return address in UNICAST and int(address) >> 32 & 0xFFFFFFFF not in ISATAP
