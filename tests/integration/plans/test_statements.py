"""The plans of the product's own statements, on a database as after a year of use (A5).

None reads a table or partition of what happens without end as a whole, and none looks into a partition where
nothing can be of what it was told. What does so all the same is listed here, with its reason. A statement that the
tour does not come to fails, too, and so does an index by which none of them finds anything.
"""

from tests.conftest import Databases
from tests.integration.plans.crowd import Crowd
from tests.integration.plans.explained import FEW, Run, range_of
from tests.statements import given_names

# Without end. The rest is what people configure, and what Postgres may read whole as long as that is cheaper.
LARGE = {
    *("webhook_events", "webhook_deliveries", "webhook_delivery_attempts", "webhook_dlq", "audit_log"),
    *("webhook_event_ids", "idempotency_keys", "jobs", "change_events", "crawl_sessions", "crawl_pages"),
    *("request_metrics", "operation_metrics", "delivery_statistics"),
}

# Statements, or all of a room, that the tour does not run.
ON_PURPOSE = "one partition that leaves or comes back is read as a whole, in pages by its key"
NOT_EXPLAINED = {
    "database.be_owner": "SET ROLE has no plan",
    **dict.fromkeys(("archive", "attachment", "retention"), ON_PURPOSE),
    **dict.fromkeys(
        ("maintain.vacuum.bounds", "maintain.vacuum.count", "maintain.vacuum.states"), "no transaction"
    ),
    **dict.fromkeys(("maintain.lock_archive", "maintain.unlock_archive"), "advisory locks"),
    "partitions.lock_timeout": "SET LOCAL has no plan",
    "crawl_sessions.probe": "one way leads along each list of them",
    "partitions.move": "where a default partition has rows",
    "sources.probe": "one index serves each of its lists",
    "figures.statements": "where the server has pg_stat_statements",
}
WHOLE = {
    "expunge.count": "most of the days it counts are the project's that it asks about",
    **dict.fromkeys(("maintain.dead_letters.forget", "dead_letters.discard"), "500 keys of a few thousand"),
    # How many rows a day has here, or the first month, depends on the hour.
    **dict.fromkeys(("expunge.erase", "forget.attempts"), "hundreds of keys of a thousand"),
    "jobs.list": "jobs are started by people: a filter that finds none among them may read them all",
}
UNFINISHED = "what is not finished may be of any age; an index of each partition has little else"
# What these look up are the keys that rows have, of whatever age: shortly after midnight some are of yesterday.
BY_KEY = {"maintain.orphans.webhook_deliveries", "statistics.roll"}
ANYWHERE = {
    **dict.fromkeys(("holding.held", "holding.count", "deliver.lines", "ordering.heads"), UNFINISHED),
    **dict.fromkeys(("webhooks.line_waiting", "ordering.stranded", "dispatch.due_deliveries"), UNFINISHED),
    **dict.fromkeys(
        (f"missed.{what}_by_{how}" for what in ("next", "count") for how in ("project", "type")),
        "an event may be sent to a webhook at any time after it happened",
    ),
    "dispatch.find_failing": "what failed last may be of any age; it is asked of few webhooks",
    "expunge.count": "all that is older than a day",
    "forget.old_deliveries": "all that is older than the project keeps",
    **dict.fromkeys(("figures.unfinished", "figures.held", "health.overdue"), UNFINISHED),
    **dict.fromkeys(("figures.default_rows", "partitions.default_rows"), "what lies where nothing should"),
    "maintain.orphans.webhook_event_ids": "the callers' own ids are of events of any age",
}
INDEXES_SQL = """
SELECT coalesce(parent.relname, i.relname), i.relname, x.indisunique
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid LEFT JOIN pg_inherits h ON h.inhrelid = i.oid
LEFT JOIN pg_class parent ON parent.oid = h.inhparent WHERE i.relnamespace = 'webhook'::regnamespace
"""
# Of those that are not unique: what they are for, where none of the statements here finds anything by them.
KEPT: dict[str, str] = {}


def test_every_statement_is_explained(runs: list[Run]) -> None:
    missed = set(given_names()) - {run.name for run in runs}
    assert {name for name in missed if not NOT_EXPLAINED.keys() & {name, name.partition(".")[0]}} == set()


def test_none_reads_what_is_large_as_a_whole(runs: list[Run]) -> None:
    faults = [
        f"{run.name} reads all {scan.whole:g} rows of {scan.relation}"
        for run in runs
        for scan in run.scans()
        if scan.whole > FEW and range_of(scan.relation)[0] in LARGE and run.name not in WHOLE
    ]
    assert faults == []


def test_none_looks_where_nothing_can_be(runs: list[Run]) -> None:
    faults = {
        run.name: f"looks into {scan.relation}"
        for run in runs
        for scan in run.scans()
        if not run.may_look_into(scan.relation)
    }
    assert {name: fault for name, fault in faults.items() if name not in ANYWHERE and name not in BY_KEY} == {}
    assert set(ANYWHERE) - set(faults) == set(), "these look nowhere else any more"


def test_by_every_index_something_is_found(
    runs: list[Run], databases: Databases, filled: tuple[str, Crowd]
) -> None:
    with databases.connect(filled[0]) as sql:
        rows = sql.run(INDEXES_SQL)
    parents = {name: parent for parent, name, _ in rows}
    used = {parents.get(index, index) for run in runs for index in run.indexes()}
    assert {parent for parent, _, unique in rows if not unique} - used == set(KEPT)
