"""Where deliveries may go (P10): decided for the very address that is dialled, by the deployment's policy."""

import ipaddress
from functools import lru_cache

from functions.domain import special_networks
from functions.domain.special_networks import Network
from functions.settings import Egress, settings


def may_connect(address: str, port: int) -> bool:
    """Whether a delivery may connect there: decided for the very address that is about to be dialled."""
    ports = settings().egress.ports
    return (not ports or port in ports) and is_allowed(address)


def check_policy() -> None:
    """Raise ValueError where the deployment's settings make no sense: before anything is claimed to be sent."""
    opened(settings().egress)


@lru_cache(maxsize=4096)
def is_allowed(address: str) -> bool:
    """Whether a delivery may connect to this very IP address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if any(parsed in network for network in opened(settings().egress)):
        return True
    return not special_networks.is_special(parsed)


@lru_cache(maxsize=1)
def opened(policy: Egress) -> tuple[Network, ...]:
    """The special networks that this deployment lets deliveries into.

    Raises ValueError where the policy names what is no network, or one that may not be opened.
    """
    return tuple(_opened(network) for network in policy.allowed_networks)


def _opened(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"EGRESS_ALLOWED_NETWORKS: {error}") from None
    if not special_networks.may_open(network):
        raise ValueError(
            f"EGRESS_ALLOWED_NETWORKS: {text} may not be opened; public addresses need no entry, and of the others"
            " only private, loopback, carrier-grade NAT and benchmarking networks may have one"
        )
    return network
