"""What changedetection.io reports: each change once, as an event and as a change event."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.domain import messages
from functions.domain.senders.base import Source
from functions.domain.senders.changedetection import SENDER
from functions.ingest.publishing import Published
from tests.integration.conftest import Service
from tests.integration.inbound_scene import TOKEN, make_source, post
from tests.integration.plans.explained import explained

NOW = datetime.now(UTC).replace(microsecond=0, minute=30)
POLICY = {"enabled": True, "api_url": "https://api.firecrawl.dev", "concurrency": 2, "max_attempts": 3}


@pytest.fixture
def source(service: Service) -> Source:
    return make_source(service, "changedetection")


def told(watch: str = "watch-1", at: datetime | None = NOW, **more: Any) -> dict[str, Any]:
    """What the documented template makes; tests/unit/domain/senders renders the template itself."""
    return {
        "watch_uuid": watch,
        "watch_url": "https://example.com/pricing",
        "watch_title": "Pricing",
        "detected_at": at and at.isoformat(),
        "diff": "(changed) $49\n(into) $59",
        "preview_url": "https://changes.example.com/preview/1",
        **more,
    }


def tell(source: Source, said: dict[str, Any], at: datetime | None = None) -> Published:
    return post(SENDER, source, json.dumps(said).encode(), TOKEN, at)


def listed(service: Service, query: str = "") -> list[dict[str, Any]]:
    answer = service.client("GET", f"/v1/change-events?{query}")
    assert answer.status == 200, answer.body
    return list(answer.body["data"])


def test_a_change_becomes_an_event_and_a_change_event(service: Service, source: Source) -> None:
    published = tell(source, told())
    [found] = listed(service)
    expected = {
        "source_id": source.id,
        "event_id": published.event_id,
        "watch_id": "watch-1",
        "watch_url": "https://example.com/pricing",
        "detected_at": f"{NOW:%Y-%m-%dT%H:%M:%S}.000000Z",
        "diff_summary": "(changed) $49\n(into) $59",
        "snapshot_url": "https://changes.example.com/preview/1",
        "metadata": {"watch_title": "Pricing"},
        "rescrape_status": None,
        "rescrape_attempts": 0,
        "indexed_at": None,
    }
    assert {name: found[name] for name in expected} == expected
    assert service.client("GET", f"/v1/change-events/{found['id']}").body == found
    event = service.client("GET", f"/v1/events/{published.event_id}").body
    assert (event["type"], event["data"]) == ("change.detected", told())


def test_the_same_change_again_is_the_same_event_and_one_row(service: Service, source: Source) -> None:
    first = tell(source, told())
    again = tell(source, told(diff="told in another way"))
    assert (again.event_id, again.new) == (first.event_id, False)
    assert len(listed(service)) == 1
    assert tell(source, told(at=NOW - timedelta(seconds=1))).new
    assert tell(source, told("watch-2")).new
    assert tell(make_source(service, "changedetection"), told()).new
    assert len(listed(service)) == 4


def test_without_a_time_what_is_repeated_is_the_same_change(service: Service, source: Source) -> None:
    at = NOW - timedelta(hours=3)
    first = tell(source, told(at=None), at)
    again = tell(source, told(at=None), at + timedelta(minutes=15))
    assert (again.event_id, again.new) == (first.event_id, False)
    assert tell(source, told(at=None), at + timedelta(hours=1)).new
    assert [one["detected_at"][:16] for one in listed(service)] == [
        f"{at + timedelta(hours=1):%Y-%m-%dT%H:%M}",
        f"{at:%Y-%m-%dT%H:%M}",
    ]


def test_a_change_told_eight_times_at_once_is_one(service: Service, source: Source) -> None:
    for said in (told(), told("watch-2", at=None)):
        with ThreadPoolExecutor(8) as threads:
            published = list(threads.map(lambda _, said=said: tell(source, said, NOW), range(8)))
        assert sum(one.new for one in published) == 1
        assert len({one.event_id for one in published}) == 1
    assert len(listed(service)) == 2


def test_where_the_policy_says_so_a_rescrape_is_queued(service: Service, source: Source) -> None:
    scraped = make_source(service, "changedetection", rescrape=POLICY)
    off = make_source(service, "changedetection", rescrape=POLICY | {"enabled": False})
    for one in (source, scraped, off):
        tell(one, told())
    found = {one["source_id"]: one for one in listed(service)}
    assert [found[one.id]["rescrape_status"] for one in (source, scraped, off)] == [None, "queued", None]
    [[id, job, due]] = service.sql.run(
        "SELECT id, rescrape_job_id, rescrape_sweep_at - now() < interval '2 minutes' FROM webhook.change_events"
        " WHERE rescrape_sweep_at IS NOT NULL"
    )
    assert str(id) == found[scraped.id]["id"]
    assert job
    assert due
    assert [messages.parse_rescrape(one["body"]).id for one in service.messages("rescrape")] == [str(id)]
    tell(scraped, told())
    assert len(listed(service, "rescrape_status=queued")) == 1


def test_lists_are_narrowed_by_what_is_asked_for(service: Service, source: Source) -> None:
    other = make_source(service, "changedetection")
    for number in range(5):
        tell(source, told(at=NOW - timedelta(minutes=number)))
    tell(source, told("watch-2"))
    tell(other, told())
    assert len(listed(service)) == 7
    assert len(listed(service, "watch_id=watch-1")) == 6
    assert len(listed(service, f"watch_id=watch-1&source_id={source.id}")) == 5
    assert len(listed(service, f"source_id={other.id}")) == 1
    assert listed(service, f"source_id={other.id}&watch_id=watch-2") == []
    assert listed(service, "source_id=00000000-0000-7000-8000-000000000000") == []
    assert listed(service, "rescrape_status=failed") == []
    assert listed(service, "created_before=2020-01-01T00:00:00Z") == []
    assert service.client("GET", "/v1/change-events?rescrape_status=gone").status == 422


def test_a_watch_s_history_is_read_page_by_page(service: Service, source: Source) -> None:
    made = [tell(source, told(at=NOW - timedelta(minutes=number))).event_id for number in range(5)]
    tell(source, told("watch-2"))
    found, query = [], "limit=2"
    while query:
        page = service.client("GET", f"/v1/change-events?watch_id=watch-1&{query}").body
        found += [one["event_id"] for one in page["data"]]
        query = f"limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert found == made[::-1]


def test_a_bound_key_sees_what_its_application_s_sources_sent(service: Service, source: Source) -> None:
    application = service.application()["id"]
    mine = [make_source(service, "changedetection", application_id=application) for _ in range(2)]
    for number, one in enumerate((source, *mine)):
        tell(one, told(at=NOW - timedelta(minutes=number)))
    bound = service.key(application_id=application)

    def seen(query: str = "") -> set[str]:
        return {one["source_id"] for one in bound("GET", f"/v1/change-events?{query}").body["data"]}

    with explained() as runs:
        assert seen() == seen("watch_id=watch-1") == {one.id for one in mine}
    walked = [run.sql for run in runs if run.name == "change_events.list"]
    assert len(walked) == 2
    assert not any("UNION" in sql for sql in walked), "one index, however many sources"
    assert seen(f"source_id={source.id}") == seen("rescrape_status=failed") == set()
    assert seen(f"source_id={mine[0].id}&watch_id=watch-1") == {mine[0].id}
    for one in listed(service):
        expected = 404 if one["source_id"] == source.id else 200
        assert bound("GET", f"/v1/change-events/{one['id']}").status == expected
    nothing = service.key(application_id=service.application()["id"])
    assert nothing("GET", "/v1/change-events").body == {"data": [], "next_cursor": None}
    assert service.key("events:read")("GET", "/v1/change-events").status == 403
