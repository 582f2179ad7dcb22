"""Every setting of the functions, read once from the environment, with the reason for its default beside it."""

import os
from dataclasses import dataclass
from functools import cache

DATABASE_URL_VARIABLES = (
    "WEBHOOK_DATABASE_URL",
    "DATABASE_URL",
    "SEARCH_BRIDGE_DATABASE_URL",
)  # in this order (B2)


@dataclass(frozen=True)
class Database:
    """Where the database is: a URL, or on AWS an endpoint whose password is an IAM token or a secret."""

    url: str
    host: str
    port: int
    name: str
    user: str
    secret_arn: str
    ca_file: str


@dataclass(frozen=True)
class Egress:
    """What deliveries may connect to (P10)."""

    schemes: frozenset[str]
    ports: frozenset[int]  # empty: any port
    allowed_networks: tuple[str, ...]  # CIDRs let through although they are not globally reachable


@dataclass(frozen=True)
class Limits:
    """When a webhook is spared, slowed down or given up (P2, P6, D5)."""

    # Ten in a row are no coincidence, and at two attempts a second an endpoint that is gone is known in 5 s.
    circuit_strikes: int
    # A restart of the endpoint takes about so long. Every probe that fails doubles it, up to the most: whoever
    # mended an endpoint waits no longer than for a coffee.
    circuit_open_seconds: int
    circuit_most_seconds: int
    # Most endpoints answer in a tenth of it; one that takes longer holds a socket while others could be served.
    # Were it less, webhooks would be slow whenever we have too much to do.
    slow_after_ms: int
    slow_seconds: int  # as long as a webhook stays in the slow lane after the last slow answer
    # Requests at a time to a slow webhook from one invocation: of 256 sockets an eighth; and where the last answer
    # was a failure, as many as it takes to see that it is well again.
    slow_share: int
    struck_share: int
    retry_after_most_seconds: int  # of one delivery: the longest step of the default schedule
    hold_most_seconds: int  # of everything to the webhook, for a Retry-After: as the longest open circuit
    line_most_seconds: int  # what is held back is looked at again after that, whatever the limit was then
    disable_after_days: int  # longer than any weekend
    disable_after_deliveries: int  # so that a webhook with hardly any events is not judged by one of them


@dataclass(frozen=True)
class Settings:
    database: Database
    egress: Egress
    limits: Limits
    delivery_queue_url: str
    retry_queue_url: str
    jobs_queue_url: str
    kms_key_id: str
    admin_key_secret_arn: str


@cache
def settings() -> Settings:
    """The environment of this process, read at first use; what a function does not use may be absent."""
    return Settings(
        database=Database(
            url=next((os.environ[v] for v in DATABASE_URL_VARIABLES if os.environ.get(v)), ""),
            host=_text("DATABASE_HOST"),
            port=int(_text("DATABASE_PORT", "5432")),
            name=_text("DATABASE_NAME", "hookline"),
            user=_text("DATABASE_USER", "hookline_app"),
            secret_arn=_text("DATABASE_SECRET_ARN"),
            ca_file=_text("DATABASE_CA_FILE"),
        ),
        egress=Egress(
            schemes=_schemes("EGRESS_SCHEMES", "https"),
            ports=_ports("EGRESS_PORTS"),
            allowed_networks=tuple(_list("EGRESS_ALLOWED_NETWORKS", "")),
        ),
        limits=Limits(
            circuit_strikes=_number("CIRCUIT_STRIKES", 10),
            circuit_open_seconds=_number("CIRCUIT_OPEN_SECONDS", 30),
            circuit_most_seconds=_number("CIRCUIT_MOST_SECONDS", 900),
            slow_after_ms=_number("SLOW_AFTER_MS", 2_000),
            slow_seconds=_number("SLOW_SECONDS", 60),
            slow_share=_number("SLOW_SHARE", 32),
            struck_share=_number("STRUCK_SHARE", 4),
            retry_after_most_seconds=_number("RETRY_AFTER_MOST_SECONDS", 86_400),
            hold_most_seconds=_number("HOLD_MOST_SECONDS", 900),
            line_most_seconds=_number("LINE_MOST_SECONDS", 3_600),
            disable_after_days=_number("DISABLE_AFTER_DAYS", 5),
            disable_after_deliveries=_number("DISABLE_AFTER_DELIVERIES", 20),
        ),
        delivery_queue_url=_text("DELIVERY_QUEUE_URL"),
        retry_queue_url=_text("RETRY_QUEUE_URL"),
        jobs_queue_url=_text("JOBS_QUEUE_URL"),
        kms_key_id=_text("KMS_KEY_ID"),
        admin_key_secret_arn=_text("ADMIN_KEY_SECRET_ARN"),
    )


def _text(name: str, default: str = "") -> str:
    return os.environ.get(name, default)


def _number(name: str, default: int) -> int:
    """Raises ValueError for what is no whole number from 1."""
    value = int(_text(name, str(default)))
    if value < 1:
        raise ValueError(f"{name} must be a whole number from 1, not {value}")
    return value


def _schemes(name: str, default: str) -> frozenset[str]:
    """Raises ValueError for any but http and https, and for none."""
    schemes = frozenset(_list(name, default))
    if wrong := schemes - {"http", "https"}:
        raise ValueError(f"{name}: {min(wrong)} is neither http nor https")
    if not schemes:
        raise ValueError(f"{name}: names no scheme")
    return schemes


def _ports(name: str) -> frozenset[int]:
    """Raises ValueError for what is no port from 1 to 65535."""
    for port in (written := _list(name, "")):
        if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
            raise ValueError(f"{name}: {port} is no port from 1 to 65535")
    return frozenset(map(int, written))


def _list(name: str, default: str) -> list[str]:
    return [item.strip() for item in os.environ.get(name, default).split(",") if item.strip()]
