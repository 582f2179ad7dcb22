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
class Settings:
    database: Database
    egress: Egress
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
            schemes=frozenset(_list("EGRESS_SCHEMES", "https")),
            ports=frozenset(int(port) for port in _list("EGRESS_PORTS", "")),
            allowed_networks=tuple(_list("EGRESS_ALLOWED_NETWORKS", "")),
        ),
        delivery_queue_url=_text("DELIVERY_QUEUE_URL"),
        retry_queue_url=_text("RETRY_QUEUE_URL"),
        jobs_queue_url=_text("JOBS_QUEUE_URL"),
        kms_key_id=_text("KMS_KEY_ID"),
        admin_key_secret_arn=_text("ADMIN_KEY_SECRET_ARN"),
    )


def _text(name: str, default: str = "") -> str:
    return os.environ.get(name, default)


def _list(name: str, default: str) -> list[str]:
    return [item.strip() for item in os.environ.get(name, default).split(",") if item.strip()]
