"""What differs between the stages. What is the same everywhere stands beside what it configures."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from functions.settings import INTERVALS, Limits, Partitions, Rescraping, Retention, Thresholds, Vacuum

USUAL = Thresholds()
LONGEST_SCRAPE = 150  # seconds: the function has 180, and needs 30 to store and to tell


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The settings of one deployment. Nothing here names an account, a region or a zone."""

    name: str

    # Network
    vpc_cidr: str  # differs by stage, so that two stages can be peered with one office network
    nat_gateways: int  # one per zone survives the loss of a zone; each is billed by the hour

    # Database
    database_class: str  # without the "db." prefix
    multi_az: bool  # a standby in the other zone: failover in about a minute, twice the price
    storage_gib: int
    storage_limit_gib: int  # storage grows by itself up to here; a limit keeps a runaway table affordable
    protect_data: bool  # deletion protection, a last snapshot, and data and addresses that outlive the stack

    # Load
    delivery_concurrency: int  # deliver invocations on the delivery queue; AWS allows 2 to 1000
    retry_concurrency: int  # the same on the retry queue: slow endpoints wait here, not in front of others
    job_concurrency: int  # background jobs at work: what they reopen competes with deliveries for the database
    rescrape_concurrency: int  # pages scraped again at a time, of all sources; each has a bound of its own besides
    api_requests_per_second: int
    api_burst: int
    inbound_requests_per_second: int  # of what is posted to sources, beside the API's own
    inbound_burst: int

    # What webhooks may reach (PRODUCT.md P10). The security group of the senders allows the same ports.
    egress_schemes: tuple[str, ...] = ("https",)  # payloads and signatures never travel in the clear
    egress_ports: tuple[int, ...] = (443, 8443)  # HTTPS and its usual alternative; empty means any port
    egress_allowed_networks: tuple[str, ...] = ()  # empty: only globally reachable addresses

    # When a webhook is spared, slowed down or disabled: (variable, value) where it is to differ from the default,
    # which stands in functions/settings.py with its reason. Such as ("CIRCUIT_STRIKES", 20).
    limits: tuple[tuple[str, int], ...] = ()

    # The same for how long rows stay in the database, such as ("RETENTION_EVENTS_DAYS", 14); for how tables are
    # cut and how far ahead, such as ("PARTITIONS_AHEAD_EVENTS", 21) or ("PARTITIONS_INTERVAL_DELIVERIES", "day");
    # and for what vacuum takes up, such as ("VACUUM_DEAD_PERCENT", 10).
    retention: tuple[tuple[str, int], ...] = ()
    partitions: tuple[tuple[str, int | str], ...] = ()
    vacuum: tuple[tuple[str, int], ...] = ()
    # The same for rescrapes, such as ("RESCRAPE_LINK_SECONDS", 7200).
    rescraping: tuple[tuple[str, int], ...] = ()
    documents_days: int = (
        365  # then the documents of rescrapes are deleted: as long as change events are kept (A6)
    )
    # Who hears of alarms: an address, which has to confirm it once, or a topic that is there already. With
    # neither, the stack has a topic that nobody listens to yet.
    alarm_email: str = ""
    alarm_topic_arn: str = ""
    # From where on a figure of the database is a problem: Thresholds(table_critical_gb=80) where it is to differ.
    # A healthy deployment of 50 deliveries a second has 130 million rows a month in a partition.
    thresholds: Thresholds = USUAL

    # Logs
    log_level: str
    log_retention: str  # a name of aws_cdk.aws_logs.RetentionDays
    slow_statement_ms: int = 100  # a statement that takes so long is logged by its name (docs/statements.md)
    metrics: bool = True  # requests and operations become rows (docs/metrics.md)

    def __post_init__(self) -> None:
        tables = _variables(Partitions)
        _check("limit", self.limits, _variables(Limits))
        _check("retention", self.retention, _variables(Retention, "RETENTION_"))
        _check("threshold", self.vacuum, _variables(Vacuum, "VACUUM_"))
        _check("setting of rescrapes", self.rescraping, _variables(Rescraping, "RESCRAPE_"))
        if dict(self.rescraping).get("RESCRAPE_BUDGET_SECONDS", 1) > LONGEST_SCRAPE:
            raise ValueError(f"RESCRAPE_BUDGET_SECONDS is at most {LONGEST_SCRAPE}: the function has 180 s in all")
        intervals = {f"PARTITIONS_INTERVAL_{table}" for table in tables}
        for name, value in self.partitions:
            if name in intervals and value not in INTERVALS:
                raise ValueError(f"{name}={value} is no interval: there are {', '.join(INTERVALS)}")
        ahead = [(name, value) for name, value in self.partitions if name not in intervals]
        _check("number of partitions", ahead, {f"PARTITIONS_AHEAD_{table}" for table in tables} | intervals)

    def physical_name(self, name: str) -> str:
        """The name of a resource in the account: `hookline-<stage>-<name>`."""
        return f"hookline-{self.name}-{name}"


def _variables(settings: type, prefix: str = "") -> set[str]:
    return {prefix + field.name.upper() for field in fields(settings)}


def _check(what: str, given: Iterable[tuple[str, object]], known: set[str]) -> None:
    """Raises ValueError for a variable that no function reads, and for what is no number from 1."""
    for name, value in given:
        if name not in known or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value} is no {what}: there are {', '.join(sorted(known))}, each from 1")


DEV = Stage(
    name="dev",
    vpc_cidr="10.41.0.0/16",
    nat_gateways=1,  # a lost zone may stop dev
    database_class="t4g.small",  # the smallest with enough connections (about 200) for the proxy
    multi_az=False,  # nobody waits for dev
    storage_gib=20,  # the least that gp3 takes
    storage_limit_gib=100,
    protect_data=False,  # `cdk destroy` leaves nothing behind that costs money
    delivery_concurrency=4,  # the local runtime starts this many processes: enough for two cores
    retry_concurrency=2,  # the least that AWS allows
    job_concurrency=2,
    rescrape_concurrency=2,
    api_requests_per_second=2000,  # as in production: a load test shall meet our limits, not this one
    api_burst=4000,
    inbound_requests_per_second=1000,
    inbound_burst=2000,  # a crawl of Firecrawl's tells of many pages at once
    log_level="INFO",
    log_retention="ONE_WEEK",
)

PROD = Stage(
    name="prod",
    vpc_cidr="10.42.0.0/16",
    nat_gateways=2,  # one in each zone: deliveries go on when a zone is lost
    database_class="m8g.large",  # 8 GB holds the working set of a busy day; not burstable
    multi_az=True,
    storage_gib=100,
    storage_limit_gib=1000,
    protect_data=True,
    delivery_concurrency=50,  # 50 x 1000 deliveries under way, 50 connections of the proxy
    retry_concurrency=20,  # dead endpoints use whole timeouts; they may not take all the connections
    job_concurrency=4,  # 4 x 500 rows under way are a few thousand a second
    rescrape_concurrency=20,  # each waits for Firecrawl most of the time, on a connection of nobody
    api_requests_per_second=2000,  # far above the plan, below what would exhaust the account's Lambdas
    api_burst=4000,
    inbound_requests_per_second=1000,
    inbound_burst=2000,  # a crawl of Firecrawl's tells of many pages at once
    log_level="INFO",
    log_retention="THREE_MONTHS",  # as long as deliveries are kept (PRODUCT.md D11)
)

STAGES = {stage.name: stage for stage in (DEV, PROD)}
