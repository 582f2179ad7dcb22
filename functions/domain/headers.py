"""Custom headers of a webhook's requests: what they may be called and hold, and which of them are secret."""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping

MAX_HEADERS = 20
MAX_NAME_LENGTH = 128
MAX_VALUE_LENGTH = 1024
NAME_PATTERN = r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$"  # a token, RFC 9110, 5.6.2
# RFC 9110, 5.5, without the obsolete bytes beyond ASCII: no white space at the ends, no line breaks. Never empty:
# libcurl takes a name without a value for a header to leave out.
VALUE_PATTERN = r"^[!-~]([ -~\t]*[!-~])?$"
NAME, VALUE = re.compile(NAME_PATTERN.rstrip("$") + r"\Z"), re.compile(VALUE_PATTERN.rstrip("$") + r"\Z")
HIDDEN = "********"  # what stands for a value that is not shown

# What Hookline says of the request itself, and what concerns the connection (RFC 9110, 7.6.1) or its framing.
RESERVED = frozenset(
    (
        *("host", "user-agent", "content-type", "content-length", "content-encoding", "accept-encoding"),
        *("transfer-encoding", "te", "trailer", "connection", "keep-alive", "upgrade", "http2-settings", "expect"),
    )
)
RESERVED_PREFIXES = ("webhook-", "hookline-", "proxy-")

SECRET_NAME = re.compile(
    r"auth(?!or(?!iz))|(api|access|private)[-_]?key|token|secret|passw|signature|credential|cookie|session",
    re.IGNORECASE,
)
SECRET_VALUE = re.compile(
    r"(basic|bearer|digest|negotiate|token|apikey|hmac|aws4-hmac-sha256)[ \t]", re.IGNORECASE
)


def is_reserved(name: str) -> bool:
    """Whether the header is Hookline's to set, in whatever case it is written."""
    return name.lower() in RESERVED or name.lower().startswith(RESERVED_PREFIXES)


def is_secret(name: str, value: str) -> bool:
    """Whether the header looks like a credential: its value is then encrypted and never shown again."""
    return SECRET_NAME.search(name) is not None or SECRET_VALUE.match(value) is not None


def check_name(name: str) -> None:
    """Raise ValueError, with a sentence, unless a custom header may be called so."""
    if NAME.match(name) is None or len(name) > MAX_NAME_LENGTH:
        raise ValueError(
            f"must be named by letters, digits and !#$%&'*+-.^_`|~, at most {MAX_NAME_LENGTH} of them"
        )
    if is_reserved(name):
        raise ValueError("is set by Hookline itself and cannot be another")


def check_value(value: str) -> None:
    """Raise ValueError, with a sentence, unless a custom header may hold this."""
    if VALUE.match(value) is None or len(value) > MAX_VALUE_LENGTH:
        raise ValueError(
            f"must hold 1 to {MAX_VALUE_LENGTH} printable ASCII characters, with no white space at either end"
        )


def named_twice(names: Iterable[str]) -> str | None:
    """A name that is there in two cases; HTTP does not tell them apart."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            return name
        seen.add(name.lower())
    return None


def find(headers: Iterable[str], name: str) -> str | None:
    """The name as it is written among `headers`, whatever the case of either."""
    return next((one for one in headers if one.lower() == name.lower()), None)


def authorization(auth: Mapping[str, str]) -> str:
    """The value of `authorization` for bearer (RFC 6750, 2.1) or basic (RFC 7617, 2: as UTF-8) credentials."""
    if auth["type"] == "bearer":
        return f"Bearer {auth['token']}"
    return "Basic " + b64encode(f"{auth['username']}:{auth['password']}".encode()).decode()


def masked(sent: Mapping[str, str], hidden: Iterable[str]) -> dict[str, str]:
    """Headers as they may be kept and shown: without the values of `hidden` ones and of `authorization`."""
    secret = {"authorization", *(name.lower() for name in hidden)}
    return {name: HIDDEN if name.lower() in secret else value for name, value in sent.items()}
