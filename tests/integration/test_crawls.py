"""What Firecrawl tells of its jobs adds up, in whatever order and however often it is told."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from functions.domain.senders.base import Source
from functions.domain.senders.firecrawl import SENDER
from functions.ingest.publishing import Published
from tests.integration.conftest import Service
from tests.integration.inbound_scene import make_source, payload, post, signed
from tests.integration.plans.explained import explained

JOB = payload("crawl.page")["id"]
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PAGES = 1_000


@pytest.fixture
def source(service: Service) -> Source:
    return make_source(service, "firecrawl")


def tell(source: Source, told: dict[str, Any], at: datetime | None = None) -> Published:
    body = json.dumps(told).encode()
    return post(SENDER, source, body, signed(body), at)


def message(phase: str, job: str = JOB, **more: Any) -> dict[str, Any]:
    return {"success": True, "type": f"crawl.{phase}", "id": job, "data": [], "metadata": {}, **more}


def page(number: int, job: str = JOB, status: int = 200, **more: Any) -> dict[str, Any]:
    about = {"scrapeId": f"scrape-{number}", "sourceURL": f"https://example.com/{number}", "creditsUsed": 1}
    return message(
        "page", job, data=[{"markdown": "#" * number, "metadata": about | {"statusCode": status}}], **more
    )


def session(service: Service, job: str = JOB) -> dict[str, Any]:
    [found] = service.client("GET", f"/v1/crawl-sessions?job_id={job}").body["data"]
    return dict(found)


def test_a_crawl_from_its_start_to_its_end(service: Service, source: Source) -> None:
    tell(source, message("started", metadata={"team": "docs"}), NOW)
    assert session(service)["status"] == "in_progress"
    tell(source, payload("crawl.page"), NOW + timedelta(seconds=2))
    tell(source, payload("crawl.page.failed"), NOW + timedelta(seconds=3))
    tell(source, payload("crawl.completed"), NOW + timedelta(seconds=5, milliseconds=250))
    found = session(service)
    sizes = [len(json.dumps(payload(name)).encode()) for name in ("crawl.page", "crawl.page.failed")]
    expected = {
        "source_id": source.id,
        "job_id": JOB,
        "kind": "crawl",
        "status": "completed",
        "base_url": "https://example.com",
        "success": True,
        "error": None,
        "started_at": "2026-11-20T12:00:00.000000Z",
        "first_page_at": "2026-11-20T12:00:02.000000Z",
        "last_page_at": "2026-11-20T12:00:03.000000Z",
        "completed_at": "2026-11-20T12:00:05.250000Z",
        "duration_ms": 5_250,
        "pages_total": None,
        "pages_received": 2,
        "pages_succeeded": 1,
        "pages_failed": 1,
        "bytes_received": sum(sizes),
        "credits_used": 1,
        "metadata": {"team": "docs"},
    }
    assert {name: found[name] for name in expected} == expected
    assert service.client("GET", f"/v1/crawl-sessions/{found['id']}").body == found


def test_in_whatever_order_it_comes_it_is_the_same(service: Service, source: Source) -> None:
    told = [message("started"), page(1), page(2, status=404), message("completed")]
    for number, order in enumerate(permutations(told)):
        for second, one in enumerate(order):
            tell(source, one | {"id": f"job-{number:02}"}, NOW + timedelta(seconds=second))
    kept = ("status", "success", "pages_received", "pages_succeeded", "pages_failed", "bytes_received")
    found = {
        tuple(session(service, f"job-{number:02}")[name] for name in (*kept, "credits_used"))
        for number in range(24)
    }
    assert len(found) == 1
    assert next(iter(found))[:5] == ("completed", True, 2, 1, 1)


def test_how_long_it_took_is_reckoned_from_its_end_on_and_written_where_it_changes(
    service: Service, source: Source
) -> None:
    def written(told: dict[str, Any], second: int) -> list[bool]:
        with explained() as runs:
            tell(source, told, NOW + timedelta(seconds=second))
        return [run.plan["Plans"][-1]["Actual Rows"] > 0 for run in runs if run.name == "crawls.time"]

    assert written(message("started"), 2) == written(page(1), 3) == []
    assert (written(message("completed"), 7), session(service)["duration_ms"]) == ([True], 5_000)
    assert (written(page(2), 8), session(service)["duration_ms"]) == ([False], 5_000)
    assert (written(page(3), 1), session(service)["duration_ms"]) == ([True], 6_000)


def test_what_comes_again_is_the_same_event_and_counts_once(service: Service, source: Source) -> None:
    for told in (message("started"), page(1), message("completed")):
        first, again = tell(source, told), tell(source, told)
        assert (first.new, again.new) == (True, False)
        assert first.event_id == again.event_id
    assert session(service)["pages_received"] == 1


def test_a_thousand_pages_shuffled_and_doubled_through_eight_threads(service: Service, source: Source) -> None:
    """Each comes twice, every tenth has failed; the start and the end come somewhere among them."""
    told = [page(number, status=500 if number % 10 == 0 else 200) for number in range(1, PAGES + 1)]
    size = sum(len(json.dumps(one).encode()) for one in told)
    messages = 2 * [*told, message("started"), message("completed")]
    random.Random(7).shuffle(messages)
    with ThreadPoolExecutor(8) as threads:
        published = list(threads.map(lambda one: tell(source, one), messages))
    found = session(service)
    totals = {name: found[name] for name in found if name.startswith(("pages_r", "pages_s", "pages_f", "credits"))}
    assert totals == {
        "pages_received": PAGES,
        "pages_succeeded": PAGES - PAGES // 10,
        "pages_failed": PAGES // 10,
        "credits_used": PAGES,
    }
    assert found["bytes_received"] == size
    assert found["status"] == "completed"
    assert sum(one.new for one in published) == PAGES + 2
    assert service.sql.run("SELECT count(*) FROM webhook.webhook_events") == [[PAGES + 2]]


def test_a_page_that_one_message_names_twice_counts_once_and_with_its_bytes(
    service: Service, source: Source
) -> None:
    told = page(1)
    told["data"] *= 2
    tell(source, told)
    found = session(service)
    assert (found["pages_received"], found["bytes_received"]) == (1, len(json.dumps(told).encode()))


def test_two_sources_of_one_account_each_count_for_themselves(service: Service, source: Source) -> None:
    other = make_source(service, "firecrawl")
    for one in (source, other):
        tell(one, page(1))
    found = service.client("GET", f"/v1/crawl-sessions?job_id={JOB}").body["data"]
    assert {(one["source_id"], one["pages_received"]) for one in found} == {(source.id, 1), (other.id, 1)}


@pytest.mark.parametrize("order", list(permutations(("failed", "cancelled", "completed"))))
def test_of_more_than_one_end_that_counts_which_says_most(
    service: Service, source: Source, order: tuple[str, ...]
) -> None:
    for second, phase in enumerate(order):
        more = {} if phase == "completed" else {"success": False, "error": f"it {phase}"}
        tell(source, message(phase, **more), NOW + timedelta(seconds=second))
    found = session(service)
    assert (found["status"], found["success"], found["error"]) == ("completed", True, None)


def test_a_failure_is_told_with_its_reason(service: Service, source: Source) -> None:
    tell(source, message("failed", success=False, error="out of credits"))
    found = session(service)
    assert (found["status"], found["success"], found["error"]) == ("failed", False, "out of credits")
    assert found["duration_ms"] is None  # nothing of it came before its end


def test_a_batch_scrape_is_a_session_too_and_other_jobs_are_not(service: Service, source: Source) -> None:
    for name in ("batch_scrape.started", "batch_scrape.page", "batch_scrape.completed", "agent.action"):
        tell(source, payload(name))
    [found] = service.client("GET", "/v1/crawl-sessions").body["data"]
    assert (found["kind"], found["status"], found["pages_received"]) == ("batch_scrape", "completed", 1)
    types = {type for (type,) in service.sql.run("SELECT type FROM webhook.webhook_events")}
    assert types == {"batch_scrape.started", "batch_scrape.page", "batch_scrape.completed", "agent.action"}


@pytest.mark.parametrize("ended", [True, False])
def test_a_page_long_after_the_others_is_an_event_and_is_not_counted(
    service: Service, source: Source, ended: bool
) -> None:
    tell(source, page(1), NOW)
    if ended:
        tell(source, message("completed"), NOW)
    service.sql.run("DELETE FROM webhook.crawl_pages")
    assert tell(source, page(2), NOW + timedelta(days=31)).new
    assert session(service)["pages_received"] == 1


def test_lists_are_narrowed_by_what_is_asked_for(service: Service, source: Source) -> None:
    other = make_source(service, "firecrawl")
    tell(source, message("started", "a"))
    tell(other, message("completed", "b"))

    def jobs(query: str) -> list[str]:
        answer = service.client("GET", f"/v1/crawl-sessions?{query}")
        assert answer.status == 200, answer.body
        return [one["job_id"] for one in answer.body["data"]]

    assert jobs("") == ["b", "a"]
    assert jobs("status=completed") == ["b"]
    assert jobs(f"source_id={source.id}") == ["a"]
    assert jobs(f"source_id={source.id}&status=completed") == []
    assert jobs("job_id=a") == ["a"]
    assert jobs(f"job_id=a&source_id={other.id}") == []
    assert jobs("created_before=2020-01-01T00:00:00Z") == []
    assert service.client("GET", "/v1/crawl-sessions?status=gone").status == 422


def test_a_bound_key_sees_what_its_application_s_sources_sent(service: Service, source: Source) -> None:
    application = service.application()["id"]
    mine = make_source(service, "firecrawl", application_id=application)
    for one in (source, mine):
        tell(one, page(1))
    bound = service.key(application_id=application)
    [found] = bound("GET", "/v1/crawl-sessions").body["data"]
    assert found["source_id"] == mine.id
    assert [one["id"] for one in bound("GET", f"/v1/crawl-sessions?job_id={JOB}").body["data"]] == [found["id"]]
    assert bound("GET", f"/v1/crawl-sessions?source_id={source.id}").body["data"] == []
    others = {one["id"] for one in service.client("GET", "/v1/crawl-sessions").body["data"]} - {found["id"]}
    assert bound("GET", f"/v1/crawl-sessions/{others.pop()}").status == 404
    assert service.key("events:read")("GET", "/v1/crawl-sessions").status == 403
