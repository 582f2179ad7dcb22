"""How the database is doing. What could not be read is null, and named under `unavailable`."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from functions.api.schemas.health import Status

Bytes = Annotated[int, Field(examples=[73_400_320])]
PerDay = Annotated[
    int | None, Field(description="Against the report of a day ago; null without one", examples=[1024])
]
Seconds = Annotated[int, Field(examples=[0])]
TableName = Annotated[str, Field(examples=["webhook_deliveries"])]


class DatabaseProblem(BaseModel):
    code: Annotated[str, Field(examples=["partitions_missing"])]
    message: Annotated[str, Field(examples=["audit_log has partitions for 5.1 days to come"])]
    severity: Literal["warning", "critical"]
    threshold: Annotated[float, Field(examples=[7])]
    value: Annotated[float, Field(examples=[5.1])]


class WholeDatabase(BaseModel):
    version: Annotated[str, Field(examples=["18.6"])]
    bytes: Bytes
    bytes_per_day: PerDay
    blocks_hit: int
    blocks_read: int
    cache_hit_percent: Annotated[
        float | None, Field(description="Since the report before; null when little was read", examples=[99.7])
    ]
    deadlocks: Annotated[int, Field(examples=[0])]
    temp_bytes: Annotated[int, Field(examples=[0])]
    transaction_id_age: Annotated[int, Field(examples=[41_000_000])]
    multixact_id_age: Annotated[int, Field(examples=[12_000])]


class TableFigures(BaseModel):
    """One table, all its partitions together; a partition is a table of its own in `largest_…`."""

    name: TableName
    partitions: Annotated[int, Field(examples=[5])]
    rows: Annotated[int, Field(description="Estimated", examples=[120_000])]
    rows_per_day: PerDay
    dead_rows: Annotated[int, Field(examples=[840])]
    heap_bytes: Bytes
    index_bytes: Bytes
    toast_bytes: Annotated[int, Field(examples=[8192])]
    total_bytes: Annotated[int, Field(examples=[146_808_832])]
    total_bytes_per_day: PerDay
    largest_name: Annotated[str, Field(examples=["webhook_deliveries_2026_11"])]
    largest_bytes: Bytes
    largest_rows: Annotated[int, Field(examples=[80_000])]
    heap_bloat_bytes: Annotated[
        int | None, Field(description="Estimated; null before the first analyze", examples=[1_048_576])
    ]
    index_bloat_bytes: Annotated[int | None, Field(examples=[2_097_152])]
    bloat_percent: Annotated[float | None, Field(examples=[12.5])]
    vacuumed_at: datetime | None
    analyzed_at: datetime | None


class PartitionFigures(BaseModel):
    table: TableName
    partitions: Annotated[int, Field(examples=[5])]
    ahead: Annotated[int, Field(description="Partitions of times to come", examples=[3])]
    days_ahead: Annotated[float, Field(description="As far as there is no gap", examples=[98.2])]
    covered_until: datetime
    default_rows: Annotated[int | None, Field(description="10000 stands for more, too", examples=[0])]
    past_retention: Annotated[list[str], Field(description="Partitions that should be gone", examples=[[]])]
    days_past_retention: Annotated[float, Field(description="Of the oldest of them", examples=[0])]


class WaitingDeliveries(BaseModel):
    unfinished: Annotated[int, Field(examples=[312])]
    held: Annotated[int, Field(description="Of a paused webhook, or behind another in a line", examples=[12])]
    counted_all: Annotated[bool, Field(description="false: there are more than were counted", examples=[True])]
    overdue_seconds: Seconds
    oldest_seconds: Annotated[
        int, Field(description="Since the oldest of those counted was made", examples=[5400])
    ]


class PendingDeadLetters(BaseModel):
    pending: Annotated[int, Field(examples=[4])]
    counted_all: Annotated[bool, Field(examples=[True])]
    oldest_seconds: Annotated[int, Field(examples=[86_400])]


class ArchiveFigures(BaseModel):
    state: Annotated[str, Field(examples=["dropped"])]
    archives: Annotated[int, Field(examples=[34])]
    rows: Annotated[int, Field(examples=[4_100_000])]
    bytes: Annotated[int, Field(description="Of the files, compressed", examples=[410_000_000])]


class SessionFigures(BaseModel):
    connections: Annotated[int, Field(examples=[23])]
    max_connections: Annotated[int, Field(examples=[200])]
    active: Annotated[int, Field(examples=[3])]
    idle: Annotated[int, Field(examples=[20])]
    idle_in_transaction: Annotated[int, Field(examples=[0])]
    waiting_for_locks: Annotated[int, Field(examples=[0])]
    longest_transaction_seconds: Seconds
    longest_lock_wait_seconds: Seconds


class SlotFigures(BaseModel):
    slots: Annotated[int, Field(examples=[0])]
    inactive: Annotated[int, Field(examples=[0])]
    retained_bytes: Annotated[int, Field(examples=[0])]


class SlowStatement(BaseModel):
    query: Annotated[str, Field(description="Without its values", examples=["SELECT pg_sleep($1)"])]
    calls: Annotated[int, Field(examples=[12])]
    rows: Annotated[int, Field(examples=[12])]
    mean_ms: Annotated[float, Field(examples=[51.2])]
    max_ms: Annotated[float, Field(examples=[60.8])]
    total_ms: Annotated[int, Field(examples=[614])]


class ScheduledRun(BaseModel):
    """What runs by the clock, and how it went."""

    name: Annotated[str, Field(examples=["maintain.partitions"])]
    succeeded_at: datetime | None
    age_seconds: Annotated[int | None, Field(examples=[1804])]
    counts: Annotated[dict[str, Any], Field(description="What it did then", examples=[{"made": 1}])]
    failed_at: Annotated[datetime | None, Field(examples=[None])]
    failing: Annotated[bool, Field(description="Whether its last run failed", examples=[False])]
    error: Annotated[str | None, Field(examples=[None])]


class DatabaseReport(BaseModel):
    database: WholeDatabase | None
    tables: list[TableFigures] | None
    partitions: list[PartitionFigures] | None
    deliveries: WaitingDeliveries | None
    dead_letters: PendingDeadLetters | None
    archives: list[ArchiveFigures] | None
    sessions: SessionFigures | None
    slots: SlotFigures | None
    statements: Annotated[
        list[SlowStatement] | None, Field(description="Null where pg_stat_statements is not installed")
    ]
    heartbeats: list[ScheduledRun] | None
    unavailable: Annotated[
        dict[str, str], Field(description="What could not be read, and the error", examples=[{}])
    ]
    measures: Annotated[
        dict[str, float],
        Field(description="The figures that are metrics, by their names", examples=[{"PartitionDaysAhead": 5.1}]),
    ]


class PastMeasures(BaseModel):
    made_at: datetime
    measures: Annotated[dict[str, float], Field(examples=[{"PartitionDaysAhead": 6.1}])]


class DatabaseState(BaseModel):
    status: Status
    made_at: Annotated[datetime | None, Field(description="Null while there is no report")]
    age_seconds: Annotated[int | None, Field(examples=[42])]
    problems: list[DatabaseProblem]
    report: DatabaseReport | None
    history: list[PastMeasures]
