"""A webhook's URL: what it may be, and the one form in which it is stored (P10).

A host name is not resolved here: what counts is the address when a delivery connects. But whoever reads the stored
URL must read the host that libcurl will read, so nothing is let through that two readers could take differently.
"""

import ipaddress
import re

from functions.domain import egress
from functions.settings import settings

MAX_URL_LENGTH = 2048
MAX_HOST_LENGTH = 253  # RFC 1035, 3.1, as text and without the dot at the end
DEFAULT_PORTS = {"http": 80, "https": 443}

# The parts of RFC 3986, appendix B, without what a webhook has no use for. Backslashes, which browsers read as
# slashes, white space and control characters fit nowhere.
PARTS = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#\\]*)(?P<rest>([/?#].*)?)", re.DOTALL
)
AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(:(?P<port>[0-9]{0,5}))?", re.DOTALL)
REST = re.compile(r"[!-\[\]-~]*")
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")  # RFC 1123, 2.1, and the underscore that is in use
NUMBER = re.compile(
    r"[0-9]+|0[xX][0-9A-Fa-f]*"
)  # what makes a host an IPv4 address: WHATWG URL, "ends in a number"


def stored(url: str) -> str:
    """The URL as it is stored: scheme and host in lower case, a Unicode host as punycode (UTS 46, IDNA 2008).

    Raises ValueError, with a sentence for the caller, unless deliveries to it could be allowed.
    """
    if len(url) > MAX_URL_LENGTH:
        raise ValueError(f"must have at most {MAX_URL_LENGTH} characters")
    scheme, authority, rest = _parts(url)
    host, port = _authority(authority)
    if REST.fullmatch(rest) is None:
        raise ValueError("must be printable ASCII after the host: percent-encode the path")
    host = _host(host)
    written = f"{scheme}://{host}{_port(port, scheme)}{rest}"
    if len(written) > MAX_URL_LENGTH:
        raise ValueError(f"must have at most {MAX_URL_LENGTH} characters in punycode")
    return written


def _parts(url: str) -> tuple[str, str, str]:
    schemes = settings().egress.schemes
    parts = PARTS.fullmatch(url)
    if parts is None or (scheme := parts["scheme"].lower()) not in schemes:
        raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in sorted(schemes))}")
    return scheme, parts["authority"], parts["rest"]


def _authority(authority: str) -> tuple[str, str | None]:
    if "@" in authority:
        raise ValueError("must not hold credentials")
    parts = AUTHORITY.fullmatch(authority)
    if parts is None:
        raise ValueError("must use a port from 1 to 65535, and have an IPv6 address in brackets")
    if not parts["host"]:
        raise ValueError("must name a host")
    return parts["host"], parts["port"]


def _port(written: str | None, scheme: str) -> str:
    """As it is written again. Checked whatever the policy: libcurl would not take another number."""
    ports = settings().egress.ports
    port = int(written) if written else DEFAULT_PORTS[scheme]
    if not 1 <= port <= 65535:
        raise ValueError("must use a port from 1 to 65535")
    if ports and port not in ports:
        raise ValueError(f"must use one of the ports {', '.join(map(str, sorted(ports)))}")
    return f":{port}" if written else ""


def _host(written: str) -> str:
    if written.startswith("["):
        return f"[{_literal(written[1:-1], ipaddress.IPv6Address)}]"
    host = (written if written.isascii() else _punycode(written)).lower().removesuffix(".")
    if len(host) > MAX_HOST_LENGTH or not all(LABEL.fullmatch(label) for label in host.split(".")):
        raise ValueError("must name a host of letters, digits, hyphens and dots, at most 63 between two dots")
    if NUMBER.fullmatch(host.rpartition(".")[2]):
        if not written.isascii():
            raise ValueError("must write an IP address in ASCII digits")
        return _literal(host, ipaddress.IPv4Address)
    _check_name(host)
    return host


def _literal(written: str, kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> str:
    """An address in its one form: no octal, hexadecimal or short IPv4, no zone."""
    try:
        address = str(kind(written))
    except ValueError:
        raise ValueError("must write an IP address as four decimal numbers, or as IPv6 in brackets") from None
    if "%" in address:
        raise ValueError("must name an IPv6 address without a zone")
    if not egress.is_allowed(address):
        raise ValueError("must not point into a private or special network")
    return address


def _check_name(host: str) -> None:
    """Names that need no look-up to be known: RFC 6761, 6.3 (localhost), and RFC 7686 (onion)."""
    top = host.rpartition(".")[2]
    if top == "onion":
        raise ValueError("must be reachable without Tor")
    if top == "localhost" and not (egress.is_allowed("127.0.0.1") or egress.is_allowed("::1")):
        raise ValueError("must not point into a private or special network")


def _punycode(host: str) -> str:
    import idna  # noqa: PLC0415 - its tables take 27 ms, and hardly any URL needs them

    if len(host) > MAX_HOST_LENGTH:
        raise ValueError(f"must name a host of at most {MAX_HOST_LENGTH} characters")
    try:
        return idna.encode(host, uts46=True, std3_rules=True).decode()
    except idna.IDNAError as error:
        raise ValueError(f"must name a host that IDNA 2008 allows: {error}") from None
