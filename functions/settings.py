"""Every setting of the functions, read once from the environment, with the reason for its default beside it."""

import os
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

DATABASE_URL_VARIABLES = (
    "WEBHOOK_DATABASE_URL",
    "DATABASE_URL",
    "SEARCH_BRIDGE_DATABASE_URL",
)  # in this order (B2)
INTERVALS = ("day", "month")


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
    instance_id: str  # by which RDS knows it, and its snapshots


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
class Retention:
    """How long rows stay in the database (A6, C7, D11). What is unfinished stays for longer, in any case."""

    events_days: int  # then they go to the archive: longer than the longest retry schedule
    deliveries_days: int  # and their attempts and dead letters: a quarter of a year of evidence
    audit_log_days: int  # then to the archive: a year can be searched
    resolved_dead_letters_days: int  # the delivery still tells what became of it
    pending_dead_letters_days: int  # nobody will look at one that old any more: it is discarded, and says why
    change_events_days: int  # then to the archive: a year of a watch's history can be searched (A6)
    crawl_sessions_days: int  # the same
    metrics_days: int  # then to the archive: a quarter of a year, as deliveries


@dataclass(frozen=True)
class Cut:
    """How one table is cut into partitions, by the time in its keys (A6)."""

    interval: str  # `day` or `month`: one partition is what leaves the database at a time
    ahead: int  # how many are made before they are needed


@dataclass(frozen=True)
class Partitions:
    """How each table is cut. Maintenance may fail for as long as there are partitions ahead before it matters."""

    events: Cut  # by day: they are the most, and kept for the shortest; two weeks are time to mend anything
    deliveries: Cut  # by month: a look-up by their event reads an index of each partition
    attempts: Cut  # as their deliveries
    audit_log: Cut  # by month: few, kept for a year
    request_metrics: Cut  # by month: a summary of a day or two reads one of them
    operation_metrics: Cut  # as requests


@dataclass(frozen=True)
class Vacuum:
    """Which tables the job `vacuum` takes up, because autovacuum would leave them as they are for long.

    Autovacuum waits for a fifth of a table to be dead and for a tenth to be changed: of 10 million rows, two
    millions and one. Reading becomes slower, and plans become wrong, long before.
    """

    dead_rows: int  # at least so many, so that small tables are left to autovacuum, which sees to them in a minute
    dead_percent: int  # of the living: what a page that is filled to 70 or 45 percent has room for anyway
    changed_percent: int  # of the living since the last ANALYZE, and at least `dead_rows`
    parents_hours: int  # nothing ever analyses a partitioned table itself: its statistics are renewed so often


@dataclass(frozen=True)
class Archiving:
    """How partitions are copied to the archive and taken out of the database."""

    # A chunk is one file, and is begun again when the function dies in the middle of it: it takes half a minute at
    # most with the third of a processor that the function has. Athena likes files of about this size.
    chunk_rows: int
    chunk_mib: int  # compressed
    # A partition is taken out under a lock that everybody else waits for: those who want to write wait for no
    # longer than this behind us, which nobody notices. Then we stand back, and try again after a pause.
    lock_ms: int
    lock_tries: int


@dataclass(frozen=True)
class Thresholds:
    """From where on a figure is a problem (A7); docs/monitoring.md says what to do. The alarms have the same.

    The defaults stand here, since the stack reads them, too; `THRESHOLD_<NAME>` is another one.
    """

    # Of one table, or of one partition: as much as a vacuum, an index or an archive has to take in one go. How
    # many partitions there are is retention's business, and what all of it takes is the storage's alarm.
    table_warning_gb: int = 5
    table_critical_gb: int = 20
    table_rows_millions: int = 10
    bloat_gb: int = 1  # less is not worth a reindex
    bloat_percent: int = 50  # a B-tree over random keys is a third empty when all is well
    dead_rows_percent: int = 20  # where autovacuum begins, by Postgres's default
    partition_warning_days: int = 7  # a week in which making them has failed, another one to mend it
    partition_critical_days: int = 2
    past_retention_days: int = 3  # a run a day, and two that failed
    overdue_warning_seconds: int = 300  # five runs of dispatch
    overdue_critical_seconds: int = 1_800
    heartbeat_warning_seconds: int = 180  # three runs of dispatch
    heartbeat_critical_seconds: int = 900
    report_seconds: int = 900  # three runs of gauges
    connections_warning_percent: int = 80  # what the proxy takes at most; the rest is for maintenance and people
    connections_critical_percent: int = 95
    transaction_seconds: int = 900  # vacuum cannot remove what died since it began
    lock_wait_seconds: int = 30  # six lock timeouts of the functions: whoever waits is none of ours
    transaction_ids_warning_millions: int = 500  # autovacuum should have frozen them at 200
    transaction_ids_critical_millions: int = 1_000  # at 2,147 Postgres stops
    retained_wal_gb: int = 5  # a slot that nobody reads fills the storage
    cache_hit_percent: int = 90  # less, and the working set does not fit into memory


@dataclass(frozen=True)
class Rescraping:
    """How changed pages are scraped again (B7)."""

    budget_seconds: int  # for Firecrawl, with all its tries: the slowest of pages take a minute
    # What is read at most: a book is 1 MB of markdown, and all of it is in memory a few times over.
    answer_mib: int
    # Of an event's data with the markdown in it; above, it has a link instead. Well below the 256 KiB where an
    # event's data ends: spaces and escapes are added to it on its way.
    inline_kib: int
    # How long such a link is good. Time for the first attempts of a delivery and for whoever gets it; no longer,
    # since a link ends with the credentials that it was signed with in any case, and who has it may read.
    link_seconds: int


@dataclass(frozen=True)
class Settings:
    database: Database
    egress: Egress
    limits: Limits
    retention: Retention
    partitions: Partitions
    vacuum: Vacuum
    archiving: Archiving
    rescraping: Rescraping
    thresholds: Thresholds
    archive_bucket: str  # empty: nothing is archived, and so nothing is dropped
    documents_bucket: str  # where the documents of rescrapes are
    # A statement that takes so long is logged by its name (E1): none of ours does that finds its rows in memory.
    slow_statement_ms: int
    delivery_queue_url: str
    retry_queue_url: str
    jobs_queue_url: str
    rescrape_queue_url: str
    metrics: bool  # requests and operations are timed; what it costs is in docs/metrics.md
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
            instance_id=_text("DATABASE_INSTANCE_ID"),
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
        retention=Retention(
            events_days=_number("RETENTION_EVENTS_DAYS", 30),
            deliveries_days=_number("RETENTION_DELIVERIES_DAYS", 90),
            audit_log_days=_number("RETENTION_AUDIT_LOG_DAYS", 365),
            resolved_dead_letters_days=_number("RETENTION_RESOLVED_DEAD_LETTERS_DAYS", 7),
            pending_dead_letters_days=_number("RETENTION_PENDING_DEAD_LETTERS_DAYS", 90),
            change_events_days=_number("RETENTION_CHANGE_EVENTS_DAYS", 365),
            crawl_sessions_days=_number("RETENTION_CRAWL_SESSIONS_DAYS", 365),
            metrics_days=_number("RETENTION_METRICS_DAYS", 90),
        ),
        partitions=Partitions(
            events=_cut("EVENTS", "day", 14),
            deliveries=_cut("DELIVERIES", "month", 3),
            attempts=_cut("ATTEMPTS", "month", 3),
            audit_log=_cut("AUDIT_LOG", "month", 3),
            request_metrics=_cut("REQUEST_METRICS", "month", 3),
            operation_metrics=_cut("OPERATION_METRICS", "month", 3),
        ),
        vacuum=Vacuum(
            dead_rows=_number("VACUUM_DEAD_ROWS", 10_000),
            dead_percent=_number("VACUUM_DEAD_PERCENT", 5),
            changed_percent=_number("VACUUM_CHANGED_PERCENT", 5),
            parents_hours=_number("VACUUM_PARENTS_HOURS", 20),
        ),
        archiving=Archiving(
            chunk_rows=_number("ARCHIVE_CHUNK_ROWS", 200_000),
            chunk_mib=_number("ARCHIVE_CHUNK_MIB", 16),
            lock_ms=_number("ARCHIVE_LOCK_MS", 500),
            lock_tries=_number("ARCHIVE_LOCK_TRIES", 5),
        ),
        rescraping=Rescraping(
            budget_seconds=_number("RESCRAPE_BUDGET_SECONDS", 120),
            answer_mib=_number("RESCRAPE_ANSWER_MIB", 16),
            inline_kib=_number("RESCRAPE_INLINE_KIB", 200),
            link_seconds=_number("RESCRAPE_LINK_SECONDS", 3_600),
        ),
        thresholds=Thresholds(
            **{one.name: _number(f"THRESHOLD_{one.name.upper()}", one.default) for one in fields(Thresholds)}
        ),
        archive_bucket=_text("ARCHIVE_BUCKET"),
        documents_bucket=_text("DOCUMENTS_BUCKET"),
        slow_statement_ms=_number("SLOW_STATEMENT_MS", 100),
        delivery_queue_url=_text("DELIVERY_QUEUE_URL"),
        retry_queue_url=_text("RETRY_QUEUE_URL"),
        jobs_queue_url=_text("JOBS_QUEUE_URL"),
        rescrape_queue_url=_text("RESCRAPE_QUEUE_URL"),
        metrics=_switch("METRICS", "on"),
        kms_key_id=_text("KMS_KEY_ID"),
        admin_key_secret_arn=_text("ADMIN_KEY_SECRET_ARN"),
    )


def _text(name: str, default: str = "") -> str:
    return os.environ.get(name, default)


def _number(name: str, default: Any) -> int:
    """Raises ValueError for what is no whole number from 1."""
    value = int(_text(name, str(default)))
    if value < 1:
        raise ValueError(f"{name} must be a whole number from 1, not {value}")
    return value


def _switch(name: str, default: str) -> bool:
    """Raises ValueError for what is neither on nor off."""
    if (value := _text(name, default)) not in {"on", "off"}:
        raise ValueError(f"{name}: {value} is neither on nor off")
    return value == "on"


def _cut(table: str, interval: str, ahead: int) -> Cut:
    """`PARTITIONS_INTERVAL_<table>` and `PARTITIONS_AHEAD_<table>`. Raises ValueError for another interval."""
    named = _text(f"PARTITIONS_INTERVAL_{table}", interval)
    if named not in INTERVALS:
        raise ValueError(f"PARTITIONS_INTERVAL_{table}: {named} is neither day nor month")
    return Cut(named, _number(f"PARTITIONS_AHEAD_{table}", ahead))


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
