"""Reading metrics: whose they are, what they are narrowed to, and added up."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from typing import Any

import pytest

from functions.adapters import measuring
from functions.api.queries import metric_summaries
from functions.api.routes import metrics as routes
from functions.domain.ids import uuid7
from tests.integration.conftest import Client, Service
from tests.integration.metrics_scene import operation_row, request_row, store

NewProject = Callable[..., tuple[str, Client]]
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    routes.kept.clear()
    yield
    routes.kept.clear()


def key_at(at: datetime) -> str:
    return uuid7(int(at.timestamp() * 1000))


def requests(*rows: dict[str, Any]) -> None:
    told = [request_row(**{**row, "id": key_at(row.get("id", NOON))}) for row in rows]
    assert store([measuring.line("requests", "api", told)])["requests"] == len(rows)


def operations(*rows: dict[str, Any]) -> None:
    told = [operation_row(**{**row, "id": key_at(row.get("id", NOON))}) for row in rows]
    assert store([measuring.line("operations", "deliver", told)])["operations"] == len(rows)


def around_noon(**more: Any) -> str:
    times = {
        "created_after": f"{NOON - timedelta(hours=3):%FT%TZ}",
        "created_before": f"{NOON + timedelta(hours=3):%FT%TZ}",
    }
    return "&".join(f"{name}={value}" for name, value in (times | more).items())


def listed(client: Client, kind: str, **narrowed: Any) -> list[dict[str, Any]]:
    answer = client("GET", f"/v1/metrics/{kind}?{around_noon(**narrowed)}")
    assert answer.status == 200, answer.body
    return list(answer.body["data"])


def summed(client: Client, kind: str, **asked: Any) -> dict[str, Any]:
    answer = client("GET", f"/v1/metrics/{kind}/summary?{around_noon(**asked)}")
    assert answer.status == 200, answer.body
    return dict(answer.body)


def test_a_project_reads_its_own_and_the_admin_key_everybody_s(service: Service, new_project: NewProject) -> None:
    other, stranger = new_project("metrics:read")
    mine = service.project_id
    requests({"project_id": mine}, {"project_id": other}, {})
    operations({"project_id": mine}, {"project_id": other}, {})
    for kind in ("requests", "operations"):
        assert [row["project_id"] for row in listed(service.client, kind)] == [mine]
        assert [row["project_id"] for row in listed(stranger, kind)] == [other]
        assert {row["project_id"] for row in listed(service.admin, kind)} == {mine, other, None}
        assert [row["project_id"] for row in listed(service.admin, kind, project_id=other)] == [other]
        assert listed(service.client, kind, request_id="r-1")[0]["project_id"] == mine
        assert summed(service.admin, kind)["data"][0]["count"] == 3
        assert summed(stranger, kind)["data"][0]["count"] == 1
        for path in (kind, f"{kind}/summary"):
            assert stranger("GET", f"/v1/metrics/{path}?project_id={mine}").status == 422
            assert service.key("events:read")("GET", f"/v1/metrics/{path}").status == 403


def test_a_key_bound_to_an_application_reads_none(service: Service) -> None:
    application = service.application()["id"]
    bound = service.key("*", application_id=application)
    assert bound("GET", "/v1/metrics/requests").status == 403
    assert bound("GET", "/v1/metrics/operations/summary").status == 403


def test_a_row_is_shown_as_it_was_stored(service: Service) -> None:
    requests({"project_id": service.project_id, "client_ip": "2001:db8::1"})
    (shown,) = listed(service.client, "requests")
    assert shown.pop("id")[:8] == key_at(NOON)[:8]
    assert shown == {
        "timestamp": f"{NOON:%FT%T}.000000Z",
        "method": "POST",
        "path": "/v1/events",
        "status_code": 202,
        "duration_ms": 4.25,
        "request_id": "r-1",
        "client_ip": "2001:db8::1",
        "user_agent": "billing/2.3",
        "project_id": service.project_id,
    }
    operations({"project_id": service.project_id, "error": "OperationalError", "job_id": "j-1"})
    (shown,) = listed(service.client, "operations")
    shown.pop("id")
    assert shown == {
        "timestamp": f"{NOON:%FT%T}.000000Z",
        "operation_type": "claim",
        "operation_name": "deliver.claim",
        "duration_ms": 3.5,
        "success": False,
        "error_message": "OperationalError",
        "request_id": "r-1",
        "job_id": "j-1",
        "document_url": None,
        "project_id": service.project_id,
        "extra_metadata": {"function": "deliver", "claimed": 2},
    }


REQUESTS = [
    {"path": "/v1/events", "method": "POST", "status": 202, "duration_ms": 1},
    {"path": "/v1/events", "method": "GET", "status": 404, "duration_ms": 2},
    {"path": "/v1/webhooks", "method": "GET", "status": 500, "duration_ms": 3},
    {"path": "/v1/webhooks", "method": "GET", "status": 503, "duration_ms": 400, "request_id": "r-2"},
]


@pytest.mark.parametrize("as_admin", [False, True])
@pytest.mark.parametrize(
    ("narrowed", "found"),
    [
        ({"path": "/v1/events"}, [0, 1]),
        ({"method": "GET"}, [1, 2, 3]),
        ({"status": "5xx"}, [2, 3]),
        ({"status": "4xx"}, [1]),
        ({"status": "503"}, [3]),
        ({"status": "5xx", "path": "/v1/webhooks"}, [2, 3]),
        ({"min_duration_ms": "3"}, [2, 3]),
        ({"request_id": "r-2"}, [3]),
        ({"request_id": "r-2", "status": "2xx"}, []),
    ],
)
def test_requests_are_narrowed(
    service: Service, narrowed: dict[str, str], found: list[int], *, as_admin: bool
) -> None:
    requests(*({**row, "project_id": service.project_id} for row in REQUESTS))
    client = service.admin if as_admin else service.client
    assert sorted(row["duration_ms"] for row in listed(client, "requests", **narrowed)) == [
        REQUESTS[n]["duration_ms"] for n in found
    ]


OPERATIONS = [
    {"operation_type": "claim", "operation_name": "deliver.claim", "duration_ms": 1},
    {"operation_type": "claim", "operation_name": "deliver.claim", "duration_ms": 2, "error": "ValueError"},
    {"operation_type": "job", "operation_name": "jobs.batch", "duration_ms": 30, "job_id": "j-1"},
    {"operation_type": "job", "operation_name": "jobs.batch", "duration_ms": 40, "request_id": "r-2"},
]


@pytest.mark.parametrize("as_admin", [False, True])
@pytest.mark.parametrize(
    ("narrowed", "found"),
    [
        ({"operation_type": "claim"}, [0, 1]),
        ({"operation_name": "jobs.batch"}, [2, 3]),
        ({"operation_type": "claim", "operation_name": "jobs.batch"}, []),
        ({"success": "false"}, [1]),
        ({"success": "true"}, [0, 2, 3]),
        ({"success": "false", "operation_name": "deliver.claim"}, [1]),
        ({"job_id": "j-1"}, [2]),
        ({"request_id": "r-2"}, [3]),
        ({"min_duration_ms": "30"}, [2, 3]),
    ],
)
def test_operations_are_narrowed(
    service: Service, narrowed: dict[str, str], found: list[int], *, as_admin: bool
) -> None:
    operations(*({**row, "project_id": service.project_id} for row in OPERATIONS))
    client = service.admin if as_admin else service.client
    assert sorted(row["duration_ms"] for row in listed(client, "operations", **narrowed)) == [
        OPERATIONS[n]["duration_ms"] for n in found
    ]


@pytest.mark.parametrize("kind", ["requests", "operations"])
def test_pages_lead_through_all_of_them_newest_first(service: Service, kind: str) -> None:
    make = {"requests": requests, "operations": operations}[kind]
    make(*({"id": NOON + timedelta(minutes=n), "duration_ms": n} for n in range(25)))
    found, cursor = [], ""
    while cursor is not None:
        further = {"cursor": cursor} if cursor else {}
        page = service.admin("GET", f"/v1/metrics/{kind}?{around_noon(limit=10, **further)}").body
        found += [row["duration_ms"] for row in page["data"]]
        cursor = page["next_cursor"]
    assert found == [*range(24, -1, -1)]


def test_a_time_range_is_exact_and_has_its_ends(service: Service) -> None:
    requests(*({"id": NOON + timedelta(milliseconds=n), "duration_ms": n + 1} for n in (-1, 0, 999, 1000)))
    found = service.admin(
        "GET",
        f"/v1/metrics/requests?created_after={NOON:%FT%TZ}&created_before={NOON + timedelta(seconds=1):%FT%TZ}",
    )
    assert [row["duration_ms"] for row in found.body["data"]] == [1000, 1]


def test_without_times_it_is_the_last_day(service: Service) -> None:
    now = datetime.now(UTC)
    requests({"id": now - timedelta(hours=23)}, {"id": now - timedelta(hours=25)})
    assert len(service.admin("GET", "/v1/metrics/requests").body["data"]) == 1
    assert service.admin("GET", "/v1/metrics/requests/summary").body["data"][0]["count"] == 1


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("requests", "created_after=2026-01-01T00:00:00Z&created_before=2026-02-02T00:00:00Z"),
        ("requests", "created_after=2026-02-01T00:00:00Z&created_before=2026-02-01T00:00:00Z"),
        ("operations", "created_after=2099-02-01T00:00:00Z"),
        (
            "requests/summary",
            "bucket=1m&created_after=2026-02-01T00:00:00Z&created_before=2026-02-03T00:00:00Z",
        ),
        ("requests/summary", "bucket=week"),
        ("requests/summary", "group_by=client_ip"),
        ("operations/summary", "group_by=path"),
        ("requests", "status=6xx"),
        ("requests", "min_duration_ms=-1"),
        ("operations", "success=perhaps"),
    ],
)
def test_what_makes_no_sense_is_refused(service: Service, path: str, query: str) -> None:
    assert service.admin("GET", f"/v1/metrics/{path}?{query}").status == 422


def test_a_summary_counts_by_bucket_and_group(service: Service) -> None:
    durations = [float(n) for n in range(1, 101)]
    requests(
        *({"id": NOON, "path": "/v1/events", "duration_ms": one} for one in durations),
        *({"id": NOON + timedelta(hours=1), "path": "/v1/events", "status": 500, "duration_ms": 7} for _ in "ab"),
        {"id": NOON, "path": "/v1/webhooks", "status": 404, "duration_ms": 9},
    )
    told = summed(service.admin, "requests", bucket="1h", group_by="path")
    at, later = (f"{one:%FT%T}.000000Z" for one in (NOON, NOON + timedelta(hours=1)))
    assert [(row["bucket"], row["group"], row["count"], row["success_rate"]) for row in told["data"]] == [
        (at, "/v1/events", 100, 1),
        (at, "/v1/webhooks", 1, 1),
        (later, "/v1/events", 2, 0),
    ]
    cuts = quantiles(durations, n=100, method="inclusive")
    row = told["data"][0]
    assert (row["avg_ms"], row["max_ms"]) == (50.5, 100)
    assert [row["p50_ms"], row["p95_ms"], row["p99_ms"]] == [round(cuts[n - 1], 3) for n in (50, 95, 99)]
    assert (told["bucket"], told["group_by"], told["complete"]) == ("1h", "path", True)
    by_class = summed(service.admin, "requests", group_by="status_class")["data"]
    assert [(row["group"], row["count"]) for row in by_class] == [("2xx", 100), ("4xx", 1), ("5xx", 2)]


def test_of_statements_every_call_counts(service: Service) -> None:
    def figures(name: str, count: int, errors: int, mean: float) -> dict[str, Any]:
        told = {"count": count, "errors": errors, "retries": 0, "slow": 0, "total_ms": count * mean}
        return {"id": key_at(NOON), "name": name, **told, "p50_ms": 1, "p95_ms": 2, "p99_ms": 3, "max_ms": 50}

    said = [figures("events.accept", 90, 0, 2.0), figures("events.accept", 10, 5, 12.0)]
    store([json.dumps({"metric": "statements", "function": "api", "statements": said})])
    operations({"duration_ms": 4})
    told = summed(service.admin, "operations", group_by="operation_type")["data"]
    assert [(row["group"], row["count"], row["success_rate"]) for row in told] == [
        ("claim", 1, 1),
        ("query", 100, 0.95),
    ]
    assert (told[1]["avg_ms"], told[1]["p95_ms"], told[1]["max_ms"]) == (3.0, 2, 50)
    (claim,) = summed(service.admin, "operations", operation_type="claim")["data"]
    assert (claim["count"], claim["p99_ms"]) == (1, 4)


def test_of_more_rows_than_are_read_it_says_from_when_on_they_are(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_summaries, "MOST_ROWS", 3)
    requests(*({"id": NOON + timedelta(minutes=n)} for n in range(5)))
    told = summed(service.admin, "requests")
    assert (told["complete"], told["data"][0]["count"]) == (False, 3)
    assert told["covered_from"] == f"{NOON + timedelta(minutes=2):%FT%T}.000000Z"


def test_it_reads_no_more_than_so_many_rows_whatever_is_wanted_of_them(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_summaries, "MOST_ROWS", 3)
    statuses = (500, 404, 503, 202, 404, 202)
    requests(*({"id": NOON + timedelta(minutes=n), "status": status} for n, status in enumerate(statuses)))
    told = summed(service.admin, "requests", status="404")
    assert (told["complete"], [row["count"] for row in told["data"]]) == (False, [1])
    assert told["covered_from"] == f"{NOON + timedelta(minutes=3):%FT%T}.000000Z"
    assert summed(service.admin, "requests", method="DELETE")["data"] == []
    told = summed(service.admin, "requests", status="5xx", group_by="status_class")
    assert (told["complete"], [(row["group"], row["count"]) for row in told["data"]]) == (True, [("5xx", 2)])


def test_what_was_part_of_one_request_or_job_is_added_up_alone(service: Service) -> None:
    operations({"job_id": "j-1", "duration_ms": 2}, {"job_id": "j-1", "duration_ms": 4}, {"request_id": "r-2"})
    requests({"request_id": "r-2"}, {})
    (row,) = summed(service.admin, "operations", job_id="j-1")["data"]
    assert (row["count"], row["avg_ms"]) == (2, 3)
    assert [row["count"] for row in summed(service.admin, "operations", request_id="r-2")["data"]] == [1]
    assert [row["count"] for row in summed(service.admin, "requests", request_id="r-2")["data"]] == [1]


def test_an_answer_that_would_be_too_long_is_refused(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_summaries, "MOST_GROUPS", 2)
    requests(*({"path": f"/{n}"} for n in range(3)))
    refused = service.admin("GET", f"/v1/metrics/requests/summary?{around_noon(group_by='path')}")
    assert (refused.status, refused.body["error"]["details"][0]["path"]) == (422, "bucket")


def test_nothing_is_an_empty_summary(service: Service) -> None:
    told = summed(service.admin, "operations", bucket="1d")
    assert (told["data"], told["complete"], told["covered_from"]) == ([], True, None)


def test_the_same_question_is_answered_alike_for_a_while_and_each_project_its_own(
    service: Service, new_project: NewProject
) -> None:
    requests({"project_id": service.project_id})
    first = summed(service.client, "requests")
    requests({"project_id": service.project_id})
    assert summed(service.client, "requests") == first
    assert summed(service.client, "requests", method="POST")["data"][0]["count"] == 2
    _, stranger = new_project("metrics:read")
    assert summed(stranger, "requests")["data"] == []
    routes.kept.clear()
    assert summed(service.client, "requests")["data"][0]["count"] == 2
