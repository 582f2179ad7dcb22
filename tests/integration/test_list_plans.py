"""How every list fares in a full database: what it asks for is found on indexes, whatever it is narrowed by.

Each list is called as a client does, with its filters one by one and two by two; every statement that it runs is
explained with what it really did. A new filter needs a line in LISTS; one that has none fails the first test.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations, product
from typing import Any

import pytest
from sqlalchemy import event, text

from functions.adapters import database
from functions.api import paging
from tests.conftest import Databases
from tests.integration import crowd
from tests.integration.conftest import Client, forget_caches
from tests.integration.crowd import Crowd

pytestmark = pytest.mark.xdist_group("one full database")  # it is filled once a process

LIMIT = paging.DEFAULT_LIMIT
MOST_SORTED = 2 * (LIMIT + 1)  # a page of each of two indexes
MOST_READ = 2_500  # rows that a statement may look at, wanted or not: two steps of a walk and their probes
# What happens, without end; the rest is what people configure, and may as well be read whole.
ENDLESS = ("webhook_events", "webhook_deliveries", "webhook_delivery_attempts", "webhook_dlq", "audit_log")
PARTITION = re.compile(r"(?P<table>\w+?)_(?P<at>default|\d{4}_\d{2}(_\d{2})?)$")
OVERLAP = timedelta(days=1, minutes=10)  # by which a key's time and a row's may differ: senders make event keys

NOW = datetime.now(UTC)
RANGE = f"{NOW - timedelta(days=17):%FT%TZ}&created_before={NOW - timedelta(days=13):%FT%TZ}"
TIMES = {"created_after": [RANGE], "created_before": [f"{NOW - timedelta(days=45):%FT%TZ}"]}
TYPES = ["type0.part0", "legacy.import", "nothing.at.all", "legacy.*", "type1.*"]
# By path: the samples of each filter, common and rare; `{name}` is a name of tests/integration/crowd.py.
LISTS: dict[str, dict[str, list[str]]] = {
    "/v1/deliveries": {
        "webhook_id": ["{webhook}", "{old_webhook}", "{rare_webhook}"],
        "event_id": ["{wide_event}", "{own_event}"],
        "status": ["pending", "delivering", "delivered", "failed"],
        "event_type": TYPES,
        "application_id": ["app1"],
        "response_status": ["200", "404", "5xx"],
        "has_error": ["true", "false"],
        **TIMES,
    },
    "/v1/deliveries/{delivery}/attempts": {"has_error": ["true", "false"]},
    "/v1/events": {
        "type": TYPES,
        "application_id": ["app1"],
        "environment": ["live", "test", "none"],
        "external_id": ["{own_event}"],
        **TIMES,
    },
    "/v1/events/{wide_event}/deliveries": {},
    "/v1/dead-letters": {
        "status": ["pending", "resolved", "discarded"],
        "webhook_id": ["{webhook}", "{rare_webhook}"],
        "event_id": ["{event}"],
        "delivery_id": ["{dead_delivery}"],
        "event_type": TYPES,
        "reason": ["attempts_exhausted", "none"],
        **TIMES,
    },
    "/v1/audit-log": {
        "event": ["webhook.updated", "project.expunged", "project.*"],
        "level": ["info", "warning"],
        "resource_type": ["webhook", "project"],
        "resource_id": ["{webhook}", "none"],
        "actor_id": ["{webhook}", "{key}"],
        "application_id": ["app1"],
        "correlation_id": ["c4000", "none"],
        "project_id": [],  # the admin key's: it then reads as the project's own
        **TIMES,
    },
    "/v1/jobs": {"kind": ["retry", "expunge"], "status": ["queued", "completed", "failed"], **TIMES},
    "/v1/webhooks": {
        "status": ["active", "disabled"],
        "application_id": ["app1"],
        "environment": ["none"],
        "event_type": ["type1", "none"],
        "search": ["webhook 7", "none"],
        **TIMES,
    },
    "/v1/webhooks/{webhook}/subscriptions": {},
    "/v1/applications": {"uid": ["app1", "none"], "name": ["App 1", "none"], **TIMES},
    "/v1/event-types": {"archived": ["true"]},
    "/v1/event-types/type1/versions": {},
    "/v1/projects": {"name": ["project 1", "none"], **TIMES},
    "/v1/projects/{project}/api-keys": {"application_id": [], "prefix": ["none1"], "active": ["true", "false"]},
}
OF_ADMIN = ("/v1/projects",)
# Whose partitions a time range is for; what else a list reads has times of its own.
PRUNED = {"/v1/deliveries": "webhook_deliveries", "/v1/events": "webhook_events", "/v1/audit-log": "audit_log"}


@dataclass(frozen=True)
class Run:
    """A statement that a request ran, and what Postgres did for it."""

    request: str
    sql: str
    plan: dict[str, Any]

    def nodes(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """What was really executed: each node of the plan, with the one above it."""
        waiting = [(self.plan, self.plan)]
        while waiting:
            node, parent = waiting.pop()
            if node["Actual Loops"] > 0:
                yield node, parent
                waiting += [(child, node) for child in node.get("Plans", ())]


@pytest.fixture(scope="module")
def filled(databases: Databases) -> tuple[str, Crowd]:
    url = databases.migrated()
    with databases.connect(url) as sql:
        return url, crowd.fill(sql)


@pytest.fixture
def full(filled: tuple[str, Crowd], aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    url, made = filled
    monkeypatch.setenv("WEBHOOK_DATABASE_URL", url)
    forget_caches()
    yield made
    forget_caches()


def runs(client: Client, request: str) -> list[Run]:
    """The request's statements, each explained while it is executed once more."""
    executed: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, sql: str, parameters: Any, *_: Any) -> None:
        executed.append((sql, parameters))

    event.listen(database.engine(), "before_cursor_execute", note)
    try:
        answer = client("GET", request)
    finally:
        event.remove(database.engine(), "before_cursor_execute", note)
    assert answer.status == 200, (request, answer.body)
    with database.transaction() as connection:
        return [
            Run(request, sql, _explained(connection, sql, parameters))
            for sql, parameters in executed
            if sql.lstrip().startswith("SELECT")
        ]


def _explained(connection: Any, sql: str, parameters: Any) -> dict[str, Any]:
    explain = f"EXPLAIN (ANALYZE, TIMING OFF, BUFFERS OFF, FORMAT JSON) {sql}"
    answer = connection.exec_driver_sql(explain, parameters).scalar_one()
    plan: dict[str, Any] = (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]
    return plan


def requests_of(path: str, made: Crowd, *, pairs: bool = True) -> Iterator[str]:
    """The list alone, and with each sample of one filter and of two."""
    filters = {name: [sample.format(**made.names) for sample in samples] for name, samples in LISTS[path].items()}
    path = path.format(**made.names)
    yield path
    for name, samples in filters.items():
        yield from (f"{path}?{name}={sample}" for sample in samples)
    for one, other in combinations(filters, 2) if pairs else ():
        for samples in product(filters[one], filters[other]):
            query = f"{path}?{one}={samples[0]}&{other}={samples[1]}"
            if query.count("created_before=") < 2:
                yield query


def faults(run: Run) -> Iterator[str]:
    """What is wrong with how the statement was executed."""
    for node, parent in run.nodes():
        relation = node.get("Relation Name", "")
        rows = node["Actual Loops"] * node["Actual Rows"]
        read = rows + node["Actual Loops"] * node.get("Rows Removed by Filter", 0)
        if parent["Node Type"].endswith("Sort") and rows > MOST_SORTED and _is_endless(node):
            yield f"sorts {rows:g} rows"
        if relation.startswith(ENDLESS) and node["Node Type"] == "Seq Scan" and read:
            yield f"reads all of {relation}"
        if relation.startswith(ENDLESS) and read > MOST_READ:
            yield f"reads {read:g} rows of {relation}"
        if "ORDER BY" in run.sql and not _may_be_read(relation, run.request):
            yield f"looks into {relation}, where nothing of that time can be"


def _is_endless(node: dict[str, Any]) -> bool:
    below = any(_is_endless(child) for child in node.get("Plans", ()))
    return below or node.get("Relation Name", "").startswith(ENDLESS)


def _may_be_read(relation: str, request: str) -> bool:
    """Whether a partition can hold rows of the time that is asked for; other tables always may."""
    found = PARTITION.fullmatch(relation)
    asked = dict(re.findall(r"(created_after|created_before)=([^&]+)", request))
    if found is None or not asked or PRUNED.get(request.partition("?")[0]) != found["table"]:
        return True
    if found["at"] == "default":
        return len(asked) < 2
    parts = [int(part) for part in found["at"].split("_")]
    start = datetime(parts[0], parts[1], parts[2] if len(parts) > 2 else 1, tzinfo=UTC)
    end = start + timedelta(days=1 if len(parts) > 2 else 31)
    after = datetime.fromisoformat(asked.get("created_after", "2000-01-01T00:00:00Z"))
    before = datetime.fromisoformat(asked.get("created_before", "2100-01-01T00:00:00Z"))
    return end > after - OVERLAP and start < before + OVERLAP


def faults_of(client: Client, requests: Iterable[str]) -> str:
    """One line for each; empty when all is well."""
    return "\n".join(
        f"{request}: {fault} in {run.sql}"
        for request in requests
        for run in runs(client, request)
        for fault in sorted(set(faults(run)))
    )


def test_every_filter_of_every_list_is_tried_here(full: Crowd) -> None:
    document = Client()("GET", "/openapi.json").body
    tried = {re.sub(r"\{\w+\}|type1", "{}", path): set(filters) for path, filters in LISTS.items()}
    lists = {}
    for path, item in document["paths"].items():
        parameters = {one["name"] for one in item.get("get", {}).get("parameters", ()) if one.get("in") == "query"}
        if "cursor" in parameters:
            lists[re.sub(r"\{\w+\}", "{}", path)] = parameters - {"cursor", "limit"}
    assert tried == lists


@pytest.mark.parametrize("path", LISTS)
def test_no_filter_reads_or_sorts_more_than_pages(full: Crowd, path: str) -> None:
    client = Client("the-admin-key" if path.startswith(OF_ADMIN) else full.key)
    assert faults_of(client, requests_of(path, full)) == ""


@pytest.mark.parametrize("path", [path for path in LISTS if not path.startswith(OF_ADMIN)])
def test_nor_does_a_key_of_an_application(full: Crowd, path: str) -> None:
    client = Client(full.bound_key)
    own = [request for request in requests_of(path, full, pairs=False) if client("GET", request).status == 200]
    assert faults_of(client, own) == ""


@pytest.mark.parametrize("path", ["/v1/deliveries", "/v1/events", "/v1/audit-log", "/v1/dead-letters"])
def test_pages_further_on_cost_no_more(full: Crowd, path: str) -> None:
    client = Client(full.key)
    for request in requests_of(path, full, pairs=False):
        cursor = client("GET", request).body["next_cursor"]
        for _ in range(3 if cursor else 0):
            further = f"{request}{'&' if '?' in request else '?'}cursor={cursor}"
            assert faults_of(client, [further]) == ""
            cursor = client("GET", further).body["next_cursor"] or cursor


@pytest.mark.parametrize(("path", "table"), PRUNED.items())
def test_what_has_its_page_in_the_newest_partition_looks_into_no_older(full: Crowd, path: str, table: str) -> None:
    executed = [node for run in runs(Client(full.key), path) for node, _ in run.nodes()]
    scanned = {node.get("Relation Name", ""): node["Actual Rows"] for node in executed}
    partitions = {name: rows for name, rows in scanned.items() if name.startswith(table)}
    assert partitions.pop(min(partitions)) == LIMIT + 1
    assert not any(partitions.values()), "of tomorrow, if any"


def test_a_project_that_ended_is_not_searched_for_among_the_rows_of_others(full: Crowd) -> None:
    """The planner would walk the primary key: the project has a share in the partition, only not at its end."""
    lists = ["/v1/deliveries", "/v1/events", "/v1/audit-log", "/v1/dead-letters"]
    assert faults_of(Client(full.key_of_ended_project), lists) == ""


def test_a_project_that_the_statistics_do_not_know_yet_is_walked_all_the_same(full: Crowd) -> None:
    client, soon = Client(full.key_of_sudden_project), f"{NOW - timedelta(minutes=30):%FT%TZ}"
    queries = ["status=failed", "status=pending", "has_error=true", "event_type=sudden", "response_status=404"]
    further = client("GET", "/v1/deliveries").body["next_cursor"]
    narrow = [f"created_after={soon}&{query}" for query in queries]
    requests = [
        f"/v1/deliveries?{query}" for query in (*queries, *narrow, f"created_after={soon}&cursor={further}")
    ]
    assert faults_of(client, requests) == ""


WALKED = {
    "status=failed": "failed_at IS NOT NULL",
    "event_type=legacy.import": "event_type = 'legacy.import'",
    "event_type=legacy.*": "event_type = 'legacy.import'",
    "has_error=true&webhook_id={webhook}": "last_error_code IS NOT NULL AND webhook_id = '{webhook}'",
    "response_status=404": "last_response_status = 404",
    "status=pending&event_type=type0.part0": "status = 'pending' AND event_type = 'type0.part0'",
    "webhook_id={old_webhook}&event_type=batch.once": "webhook_id = '{old_webhook}' AND event_type = 'batch.once'",
    "event_id={wide_event}": "event_id = '{wide_event}'",
}


@pytest.mark.parametrize(("query", "condition"), WALKED.items())
def test_a_walk_over_all_partitions_finds_what_one_statement_finds(
    full: Crowd, query: str, condition: str
) -> None:
    client, found, cursor = Client(full.key), [], ""
    while cursor is not None:
        further = f"&cursor={cursor}" if cursor else ""
        page = client("GET", f"/v1/deliveries?limit=250&{query.format(**full.names)}{further}").body
        found += [row["id"] for row in page["data"]]
        cursor = page["next_cursor"]
    one = text(
        f"SELECT CAST(id AS text) FROM webhook.webhook_deliveries WHERE project_id = '{full.names['project']}'"
        f" AND {condition.format(**full.names)} ORDER BY id DESC"
    )
    with database.transaction() as connection:
        expected = connection.execute(one).scalars().all()
    assert expected
    assert found == expected
