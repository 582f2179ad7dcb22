"""How every list fares in a full database: what it asks for is found on indexes, whatever it is narrowed by.

Each list is called as a client does, with its filters one by one and two by two; every statement that it runs is
explained with what it really did. A new filter needs a line in LISTS; one that has none fails the first test.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import combinations, product
from typing import Any

import pytest
from sqlalchemy import text

from functions.adapters import database
from functions.api import paging
from tests.integration.conftest import Client
from tests.integration.plans.crowd import Crowd
from tests.integration.plans.explained import EVER, FEW, Run, explained, range_of

LIMIT = paging.DEFAULT_LIMIT
MOST_SORTED = 2 * (LIMIT + 1)  # a page of each of two indexes
MOST_READ = 2_500  # rows that a statement may look at, wanted or not: two steps of a walk and their probes
# What happens, without end; the rest is what people configure, and may as well be read whole.
ENDLESS = (
    *("webhook_events", "webhook_deliveries", "webhook_delivery_attempts", "webhook_dlq", "audit_log"),
    *("change_events", "crawl_sessions"),
    *("request_metrics", "operation_metrics"),
)
OVERLAP = timedelta(days=1, minutes=10)  # by which a key's time and a row's may differ: senders make event keys

NOW = datetime.now(UTC)
RANGE = f"{NOW - timedelta(days=17):%FT%TZ}&created_before={NOW - timedelta(days=13):%FT%TZ}"
TIMES = {"created_after": [RANGE], "created_before": [f"{NOW - timedelta(days=45):%FT%TZ}"]}
TYPES = ["type0.part0", "legacy.import", "nothing.at.all", "legacy.*", "type1.*"]
# By path: the samples of each filter, common and rare; `{name}` is a name of tests/integration/plans/crowd.py.
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
    "/v1/change-events": {
        "source_id": ["{source}", "{bound_source}"],
        "watch_id": ["watch0", "rare", "none"],
        "rescrape_status": ["queued", "in_progress", "completed", "failed"],
        **TIMES,
    },
    "/v1/crawl-sessions": {
        "source_id": ["{crawl_source}"],
        "status": ["in_progress", "completed", "failed", "cancelled"],
        "job_id": ["{crawl_job}", "none"],
        **TIMES,
    },
    "/v1/metrics/requests": {
        "path": ["/v1/events", "/v1/projects", "none"],
        "method": ["POST", "DELETE"],
        "status": ["404", "5xx", "503"],
        "request_id": ["{request}", "none"],
        "min_duration_ms": ["150"],
        "project_id": ["{project}"],
        **TIMES,
    },
    "/v1/metrics/operations": {
        "operation_type": ["query", "job", "none"],
        "operation_name": ["deliver.claim", "jobs.batch", "none"],
        "success": ["true", "false"],
        "request_id": ["{request}", "none"],
        "job_id": ["{job}", "none"],
        "min_duration_ms": ["150"],
        "project_id": ["{project}"],
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
    "/v1/sources": {"kind": ["github", "stripe"], "application_id": ["app1"], **TIMES},
    "/v1/applications": {"uid": ["app1", "none"], "name": ["App 1", "none"], **TIMES},
    "/v1/event-types": {"archived": ["true"]},
    "/v1/event-types/type1/versions": {},
    "/v1/stats/endpoints": {
        "window": ["1h", "24h", "7d", "30d", "90d"],
        "sort": ["success_rate", "attempts"],
        "min_attempts": ["10", "100000"],
    },
    "/v1/projects": {"name": ["project 1", "none"], **TIMES},
    "/v1/projects/{project}/api-keys": {"application_id": [], "prefix": ["none1"], "active": ["true", "false"]},
}
OF_ADMIN = ("/v1/projects", "/v1/metrics")
# Whose partitions a time range is for; what else a list reads has times of its own.
PRUNED = {
    **{"/v1/deliveries": "webhook_deliveries", "/v1/events": "webhook_events", "/v1/audit-log": "audit_log"},
    "/v1/metrics/requests": "request_metrics",
    "/v1/metrics/operations": "operation_metrics",
}


def runs(client: Client, request: str) -> list[Run]:
    """The request's statements that read."""
    with explained() as found:
        answer = client("GET", request)
    assert answer.status == 200, (request, answer.body)
    return [run for run in found if run.sql.lstrip().startswith("SELECT")]


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


def faults(run: Run, request: str) -> Iterator[str]:
    """What is wrong with how the statement was executed."""
    for node, parent in run.nodes():
        if parent["Node Type"].endswith("Sort") and rows_of(node) > MOST_SORTED and _is_endless(node):
            yield f"sorts {rows_of(node):g} rows"
    for scan in run.scans():
        if scan.relation.startswith(ENDLESS) and scan.whole > FEW:
            yield f"reads all {scan.whole:g} rows of {scan.relation}"
        if scan.relation.startswith(ENDLESS) and scan.rows > MOST_READ:
            yield f"reads {scan.rows:g} rows of {scan.relation}"
        if "ORDER BY" in run.sql and not _may_be_read(scan.relation, request):
            yield f"looks into {scan.relation}, where nothing of that time can be"


def rows_of(node: dict[str, Any]) -> float:
    return float(node["Actual Loops"] * node["Actual Rows"])


def _is_endless(node: dict[str, Any]) -> bool:
    below = any(_is_endless(child) for child in node.get("Plans", ()))
    return below or node.get("Relation Name", "").startswith(ENDLESS)


def _may_be_read(relation: str, request: str) -> bool:
    """Whether a partition can hold rows of the time that is asked for; other tables always may."""
    table, start, end = range_of(relation)
    asked = dict(re.findall(r"(created_after|created_before)=([^&]+)", request))
    if not asked or table == relation or PRUNED.get(request.partition("?")[0]) != table:
        return True
    if (start, end) == EVER:
        return len(asked) < 2
    after = datetime.fromisoformat(asked.get("created_after", "2000-01-01T00:00:00Z"))
    before = datetime.fromisoformat(asked.get("created_before", "2100-01-01T00:00:00Z"))
    return end > after - OVERLAP and start < before + OVERLAP


def faults_of(client: Client, requests: Iterable[str]) -> str:
    """One line for each; empty when all is well."""
    return "\n".join(
        f"{request}: {fault} in {run.sql}"
        for request in requests
        for run in runs(client, request)
        for fault in sorted(set(faults(run, request)))
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


@pytest.mark.parametrize(
    "path", [f"/v1/{name}" for name in ("deliveries", "events", "audit-log", "dead-letters", "change-events")]
)
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
