"""What verifying has in common. Encoded signatures are compared as text: base64 and hex that only decode alike
are not what the sender wrote.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import UTC, datetime

from functions.domain.senders.base import NotVerified, Received

MAX_TIMESTAMP_DIGITS = 13
MILLISECONDS_FROM = 10**11  # as seconds that is the year 5138, as milliseconds 1973


def header(received: Received, name: str) -> str:
    """Raises NotVerified where it is absent or empty."""
    value = received.headers.get(name.lower(), "")
    if not value:
        raise NotVerified(f"there is no {name}")
    return value


def credentials(received: Received, scheme: str) -> str:
    """What `Authorization` says behind this scheme, in any case (RFC 9110, 11.1); empty without it."""
    found, _, said = received.headers.get("authorization", "").partition(" ")
    return said.strip(" ") if found.lower() == scheme else ""


def basic(received: Received) -> str:
    """`name:password` of basic authentication (RFC 7617), empty without it.

    Raises NotVerified for what is no base64, and for base64 that only decodes alike.
    """
    said = credentials(received, "basic")
    try:
        text = b64decode(said, validate=True).decode()
    except ValueError:
        raise NotVerified("the basic credentials are not base64") from None
    if b64encode(text.encode()).decode() != said:
        raise NotVerified("the basic credentials are not the base64 of what they decode to")
    return text


def check_any(given: Iterable[str], expected: Iterable[str]) -> None:
    """Raise NotVerified unless one of those given is one that is expected; all are compared, whichever it is."""
    wanted = [one.encode() for one in expected]
    found = [hmac.compare_digest(one.encode("utf-8", "surrogatepass"), it) for one in given for it in wanted]
    if not any(found):
        raise NotVerified("no signature or token is the one that it should be")


def check_fresh(timestamp: str, received: Received, window_seconds: int) -> None:
    """Raise NotVerified unless `timestamp`, in Unix seconds or milliseconds, is about when the request came."""
    if abs((received.at - unix_time(timestamp)).total_seconds()) > window_seconds:
        raise NotVerified(f"signed at {timestamp}, more than {window_seconds} seconds from now")


def unix_time(text: str) -> datetime:
    """Raises NotVerified for what is no such number."""
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_TIMESTAMP_DIGITS):
        raise NotVerified("the timestamp is no Unix time")
    number = int(text)
    return datetime.fromtimestamp(number / 1000 if number >= MILLISECONDS_FROM else number, UTC)
