"""The networks that a webhook's deliveries may connect to (D4): written as CIDRs, decided for the very address."""

import ipaddress
import re
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_NETWORKS = 50
CIDR = re.compile(r"[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?")  # no netmasks, no zones


def normalised(text: str) -> str:
    """A network in the form it is stored and shown in: `10.1.2.3/8` → `10.0.0.0/8`, `192.0.2.1` → `192.0.2.1/32`.

    Raises ValueError.
    """
    if CIDR.fullmatch(text) is None:
        raise ValueError("must be a network such as 198.51.100.0/24, or an address")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("must be a network such as 198.51.100.0/24, or an address") from None
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise ValueError("must be written as the IPv4 network that it means")
    return str(network)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Stored networks, to ask `contains` of. Raises ValueError."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def contains(allowed: Iterable[Network], address: str) -> bool:
    """Whether this very IP address is in one of the networks."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return any(parsed in network for network in allowed)
