"""Where deliveries may go (P10): decided for the URL when it is written, for the address when it is dialled."""

import ipaddress
import re
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from functions.settings import Egress, settings

MAX_URL_LENGTH = 2048
DEFAULT_PORTS = {"http": 80, "https": 443}
URL_CHARACTERS = re.compile(r"[!-\[\]-~]+")  # printable ASCII without the backslash that browsers read as a slash

# Not globally reachable by the IANA special-purpose registries (RFC 6890), and those which reach IPv4 or other
# networks by another name. Written out, because `ipaddress.is_global` differs between Python's versions and lets
# NAT64, 6to4, multicast and SRv6 through.
REFUSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # this host, RFC 791
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # carrier-grade NAT, RFC 6598
        "127.0.0.0/8",  # loopback, RFC 1122
        "169.254.0.0/16",  # link-local and cloud metadata, RFC 3927
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # IETF protocol assignments, RFC 6890
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.31.196.0/24",  # AS112, RFC 7535
        "192.52.193.0/24",  # AMT, RFC 7450
        "192.88.99.0/24",  # 6to4 relay, RFC 7526
        "192.168.0.0/16",  # private, RFC 1918
        "192.175.48.0/24",  # AS112, RFC 7534
        "198.18.0.0/15",  # benchmarking, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved and broadcast, RFC 1112
        "::/96",  # unspecified, loopback and IPv4-compatible, RFC 4291
        "::ffff:0:0/96",  # IPv4-mapped, RFC 4291
        "::ffff:0:0:0/96",  # IPv4-translated, RFC 2765
        "64:ff9b::/96",  # NAT64, RFC 6052
        "64:ff9b:1::/48",  # local NAT64, RFC 8215
        "100::/64",  # discard, RFC 6666
        "100:0:0:1::/64",  # dummy prefix, RFC 9780
        "2001::/23",  # IETF protocol assignments, Teredo among them, RFC 2928
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4, RFC 3056
        "2620:4f:8000::/48",  # AS112, RFC 7534
        "3fff::/20",  # documentation, RFC 9637
        "5f00::/16",  # SRv6 SIDs, RFC 9602
        "fc00::/7",  # unique local, RFC 4193
        "fe80::/10",  # link-local, RFC 4291
        "fec0::/10",  # site-local, RFC 3879
        "ff00::/8",  # multicast, RFC 4291
    )
)


def check_url(url: str) -> None:
    """Raise ValueError, with a sentence for the caller, unless deliveries to this URL could be allowed.

    A host name is not resolved here: what counts is the address when a delivery connects.
    """
    policy = settings().egress
    if len(url) > MAX_URL_LENGTH:
        raise ValueError(f"must have at most {MAX_URL_LENGTH} characters")
    if URL_CHARACTERS.fullmatch(url) is None:
        raise ValueError("must be printable ASCII: percent-encode the path, write the host in punycode")
    parts = urlsplit(url)
    if parts.scheme not in policy.schemes:
        raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in sorted(policy.schemes))}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold credentials")
    if not parts.hostname:
        raise ValueError("must name a host")
    port = _port(parts)
    if policy.ports and port not in policy.ports:
        raise ValueError(f"must use one of the ports {', '.join(map(str, sorted(policy.ports)))}")
    if (address := _literal(parts.hostname)) and not is_allowed(address):
        raise ValueError("must not point into a private or special network")


def may_connect(address: str, port: int) -> bool:
    """Whether a delivery may connect there: decided for the very address that is about to be dialled."""
    ports = settings().egress.ports
    return (not ports or port in ports) and is_allowed(address)


@lru_cache(maxsize=4096)
def is_allowed(address: str) -> bool:
    """Whether a delivery may connect to this very IP address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if any(parsed in network for network in _let_through(settings().egress)):
        return True
    return parsed.is_global and not any(parsed in network for network in REFUSED)


@lru_cache(maxsize=1)
def _let_through(policy: Egress) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(network) for network in policy.allowed_networks)


def _port(parts: SplitResult) -> int:
    """Read whatever the policy: what libcurl would not take is refused when it is written."""
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("must use a port from 1 to 65535")
    return port or DEFAULT_PORTS[parts.scheme]


def _literal(host: str) -> str | None:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None
