"""Change events and crawl sessions past their age go to the archive, and nothing is lost or there twice."""

import gzip
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from functions.domain.archives import moving
from functions.domain.archives.files import DamagedError
from functions.domain.senders.base import Source
from functions.maintain import inbound_retention, recall
from functions.maintain.run import Run
from tests.integration.archive_scene import bucket, key_at
from tests.integration.conftest import Service
from tests.integration.dying import until_it_lives
from tests.integration.inbound_scene import make_source

__all__ = ["bucket"]
NOW = datetime(2026, 11, 20, tzinfo=UTC)
OLD = datetime(2025, 10, 30, tzinfo=UTC)  # the first of these days; two weeks on is past a year, too
NAUGHTY = 'quotes " and \\ and \n 漢字 🎉 {{ x }}'
INSERT_CHANGE = """
INSERT INTO webhook.change_events (id, project_id, source_id, event_id, watch_id, watch_url, detected_at,
  created_at, diff_summary, metadata, rescrape_status, rescrape_sweep_at, rescrape_error)
SELECT CAST(:id AS uuid), project_id, id, uuidv7(), :watch, 'https://x/', CAST(:at AS timestamptz),
  CAST(:at AS timestamptz), :diff, CAST(:metadata AS jsonb), CAST(:status AS text),
  CASE WHEN :status IN ('queued', 'in_progress') THEN now() END, CASE WHEN :status = 'failed' THEN 'no' END
FROM webhook.sources WHERE id = CAST(:source AS uuid)
"""
INSERT_SESSION = """
INSERT INTO webhook.crawl_sessions (id, project_id, source_id, job_id, kind, status, completed_at, created_at,
  last_page_at)
SELECT CAST(:id AS uuid), project_id, id, :job, 'crawl', CASE WHEN :ended THEN 'completed' ELSE 'in_progress' END,
  CASE WHEN :ended THEN CAST(:at AS timestamptz) END, CAST(:at AS timestamptz), CAST(:at AS timestamptz)
FROM webhook.sources WHERE id = CAST(:source AS uuid)
"""


@pytest.fixture
def source(service: Service, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setattr(moving, "BATCH", 4)
    return make_source(service, "changedetection")


def change(service: Service, source: Source, n: int, at: datetime, status: str | None = None) -> str:
    id = key_at(at, n)
    service.sql.run(
        INSERT_CHANGE,
        id=id,
        source=source.id,
        watch=f"watch-{n}",
        at=at,
        diff=NAUGHTY,
        metadata=json.dumps({"watch_title": NAUGHTY, "n": n}),
        status=status,
    )
    return id


def crawl(service: Service, source: Source, n: int, at: datetime, *, ended: bool = True, pages: int = 0) -> str:
    id = key_at(at, n)
    service.sql.run(INSERT_SESSION, id=id, source=source.id, job=f"job-{n}", at=at, ended=ended)
    service.sql.run(
        "INSERT INTO webhook.crawl_pages SELECT CAST(:id AS uuid), decode(md5(n::text), 'hex')"
        " FROM generate_series(1, :pages) n",
        id=id,
        pages=pages,
    )
    return id


def table(service: Service, name: str = "change_events") -> dict[str, str]:
    found = service.sql.run(f"SELECT id, CAST(row_to_json(t) AS text) FROM webhook.{name} t ORDER BY id")
    return {str(id): row for id, row in found}


def run(**values: Any) -> dict[str, int]:
    return inbound_retention.run(Run(**{"now": NOW} | values))


def archived(bucket: str, name: str = "change_events") -> dict[str, Counter[str]]:
    """The keys of the rows in the files that manifests name, by month. Files are checked against them."""
    s3 = boto3.client("s3")
    found: dict[str, Counter[str]] = {}
    for one in s3.list_objects_v2(Bucket=bucket, Prefix=f"archive/{name}/").get("Contents", []):
        if one["Key"].endswith("_manifest.json"):
            manifest = json.loads(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read())
            lines = [
                line
                for part in manifest["chunks"]
                for line in gzip.decompress(
                    s3.get_object(Bucket=bucket, Key=part["key"])["Body"].read()
                ).splitlines()
            ]
            assert len(lines) == manifest["rows"]
            found[one["Key"].split("/")[2]] = Counter(json.loads(line)["id"] for line in lines)
    return found


def test_what_is_past_its_age_and_finished_goes(service: Service, source: Source, bucket: str) -> None:
    old = [change(service, source, n, OLD + timedelta(days=n % 4), "failed" if n % 2 else None) for n in range(10)]
    kept = [change(service, source, n, OLD, status) for n, status in ((20, "queued"), (21, "in_progress"))]
    kept.append(change(service, source, 22, NOW - timedelta(days=364)))
    assert run()["change_events"] == 10
    assert set(table(service)) == set(kept)
    found = archived(bucket)
    assert set(found) == {"2025-10", "2025-11"}
    assert found["2025-10"] + found["2025-11"] == Counter(old)
    assert set(run().values()) == {0}


def test_finished_later_it_goes_into_the_archive_of_its_month(
    service: Service, source: Source, bucket: str
) -> None:
    first, late = change(service, source, 1, OLD), change(service, source, 2, OLD, "queued")
    run()
    service.sql.run("UPDATE webhook.change_events SET rescrape_status = 'completed', rescrape_sweep_at = NULL")
    run()
    assert archived(bucket) == {"2025-10": Counter([first, late])}
    assert table(service) == {}


def test_a_crawl_under_way_stays_whatever_its_age(service: Service, source: Source, bucket: str) -> None:
    """Of one whose end was never told there is no news at last."""
    gone = [crawl(service, source, 1, OLD), crawl(service, source, 4, OLD, ended=False, pages=3)]
    service.sql.run(
        "UPDATE webhook.crawl_sessions SET received_at = now() - interval '31 days' WHERE id = CAST(:id AS uuid)",
        id=gone[1],
    )
    stays = [crawl(service, source, 2, OLD, ended=False), crawl(service, source, 3, NOW, pages=3)]
    assert run()["crawl_sessions"] == 2
    assert set(table(service, "crawl_sessions")) == set(stays)
    assert archived(bucket, "crawl_sessions") == {"2025-10": Counter(gone)}
    assert service.sql.run("SELECT count(*) FROM webhook.crawl_pages") == [[3]]


def test_pages_are_forgotten_a_month_after_the_last_of_them(
    service: Service, source: Source, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound_retention, "PAGES", 10)
    over = crawl(service, source, 1, NOW - timedelta(days=32), pages=25)
    late = crawl(service, source, 2, NOW - timedelta(days=30), pages=5)
    untold = crawl(service, source, 3, NOW - timedelta(days=90), ended=False, pages=5)
    assert run()["pages"] == 30
    assert set(table(service, "crawl_sessions")) == {over, late, untold}
    left = {str(id) for (id,) in service.sql.run("SELECT DISTINCT session_id FROM webhook.crawl_pages")}
    assert left == {late}


def test_what_was_archived_comes_back_as_it_was(service: Service, source: Source, bucket: str) -> None:
    for n in range(10):
        change(service, source, n, OLD + timedelta(hours=n), "completed")
    service.sql.run("SET timezone = 'UTC'")
    before = table(service)
    run()
    assert table(service) == {}
    answer = recall.run(Run(now=NOW, parameters={"table": "change_events", "month": "2025-10", "days": 2}))
    assert answer == {"recalled": 10, "archived": 10, "busy": 0}
    assert table(service) == before
    assert run()["change_events"] == 0, "it is held for two days"
    assert table(service) == before
    service.sql.run("UPDATE webhook.change_events SET diff_summary = 'again' WHERE watch_id = 'watch-3'")
    counts = run(now=NOW + timedelta(days=3))
    assert (counts["taken_out"], counts["change_events"]) == (9, 1)
    assert table(service) == {}
    recall.run(Run(now=NOW, parameters={"table": "change_events", "month": "2025-10"}))
    back = table(service)
    assert set(back) == set(before)
    assert [id for id in before if back[id] != before[id]] == [key_at(OLD + timedelta(hours=3), 3)]


def test_rows_of_a_project_that_is_gone_do_not_come_back(service: Service, source: Source, bucket: str) -> None:
    change(service, source, 1, OLD)
    gone = make_source(service, "changedetection")
    change(service, gone, 2, OLD)
    run()
    service.sql.run("DELETE FROM webhook.sources WHERE id = CAST(:id AS uuid)", id=gone.id)
    answer = recall.run(Run(now=NOW, parameters={"table": "change_events", "month": "2025-10"}))
    assert (answer["recalled"], answer["archived"]) == (1, 2)


@pytest.mark.parametrize(
    "parameters",
    [
        *({}, {"table": "projects", "month": "2025-10"}, {"table": "change_events", "month": "2025"}),
        *({"table": "change_events", "month": "2025-10", "days": days} for days in (0, 366, "7")),
        {"table": "change_events", "month": "2020-01"},
    ],
)
def test_what_cannot_be_recalled_is_refused(service: Service, bucket: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|nothing of"):
        recall.run(Run(now=NOW, parameters=parameters))


def damage(bucket: str, part: int) -> None:
    key = f"archive/change_events/2025-10/part-{part:05}.jsonl.gz"
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=gzip.compress(b"{}"))


def recalled(days: int = 7) -> dict[str, int]:
    return recall.run(Run(now=NOW, parameters={"table": "change_events", "month": "2025-10", "days": days}))


def test_a_damaged_file_brings_nothing_back_and_nothing_waits_for_it(
    service: Service, source: Source, bucket: str
) -> None:
    for n in range(6):
        change(service, source, n, OLD)
    run()
    damage(bucket, 1)
    with pytest.raises(DamagedError):
        recalled()
    assert table(service) == {}
    change(service, source, 7, OLD)
    assert run()["change_events"] == 1, "the month is not held"


def test_what_came_back_from_a_file_that_is_damaged_now_stays_and_all_else_goes_on(
    service: Service, source: Source, bucket: str
) -> None:
    back = {change(service, source, n, OLD) for n in range(6)}
    run()
    recalled()
    damage(bucket, 0)
    change(service, source, 7, OLD + timedelta(days=5))
    gone = crawl(service, source, 1, OLD)
    for _ in range(2):
        with pytest.raises(DamagedError):
            run(now=NOW + timedelta(days=8))
    assert set(table(service)) == back
    assert archived(bucket, "crawl_sessions") == {"2025-10": Counter([gone])}


def test_a_month_that_is_recalled_again_is_held_for_the_longer_time(
    service: Service, source: Source, bucket: str
) -> None:
    change(service, source, 1, OLD)
    run()
    recalled(days=7)
    recalled(days=2)
    assert run(now=NOW + timedelta(days=3))["taken_out"] == 0
    assert run(now=NOW + timedelta(days=8))["taken_out"] == 1


def test_a_month_that_is_recalled_while_its_days_end_is_held_anew(
    service: Service, source: Source, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(service, source, 1, OLD)
    run()
    recalled(days=1)
    alone = inbound_retention.alone

    def late(*given: Any) -> Any:
        recalled(days=7)
        return alone(*given)

    with monkeypatch.context() as patched:
        patched.setattr(inbound_retention, "alone", late)
        assert run(now=NOW + timedelta(days=2))["taken_out"] == 0
    assert len(table(service)) == 1


def test_what_came_back_goes_again_whatever_columns_there_are_by_then(
    service: Service, source: Source, bucket: str
) -> None:
    old = [change(service, source, n, OLD) for n in range(6)]
    run()
    recalled()
    service.sql.run("ALTER TABLE webhook.change_events ADD COLUMN later text DEFAULT 'new'")
    counts = run(now=NOW + timedelta(days=8))
    assert (counts["taken_out"], counts["change_events"]) == (6, 0)
    assert archived(bucket) == {"2025-10": Counter(old)}


def test_without_a_bucket_nothing_goes(service: Service, source: Source) -> None:
    change(service, source, 1, OLD)
    assert run()["no_bucket"] == 1
    assert len(table(service)) == 1


def test_dying_at_every_step_loses_and_doubles_nothing(
    service: Service, source: Source, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile a rescrape of one of the rows is asked for: that one is archived when it is over."""
    old = [change(service, source, n, OLD + timedelta(days=n), "completed") for n in range(5)]
    crawls = [crawl(service, source, n, OLD, pages=2) for n in range(2)]
    service.sql.run("SET timezone = 'UTC'")
    before = table(service) | table(service, "crawl_sessions")
    asked = iter(["queued", "completed"])

    def moved() -> bool:
        if status := next(asked, None):
            service.sql.run(
                "UPDATE webhook.change_events SET rescrape_status = :status, rescrape_attempts = 7,"
                " rescrape_sweep_at = CASE :status WHEN 'queued' THEN now() END WHERE watch_id = 'watch-1'",
                status=status,
            )
        run()
        return not table(service) and not table(service, "crawl_sessions")

    until_it_lives(moved, monkeypatch)
    months = archived(bucket)
    assert months["2025-10"] + months["2025-11"] == Counter(old)
    assert archived(bucket, "crawl_sessions") == {"2025-10": Counter(crawls)}

    def back() -> bool:
        for name, month in (("change_events", 10), ("change_events", 11), ("crawl_sessions", 10)):
            recall.run(Run(now=NOW, parameters={"table": name, "month": f"2025-{month}"}))
        return True

    until_it_lives(back, monkeypatch)
    after = table(service) | table(service, "crawl_sessions")
    assert {id for id in before if after[id] != before[id]} == {old[1]}
    assert json.loads(after[old[1]])["rescrape_attempts"] == 7
    until_it_lives(lambda: not run(now=NOW + timedelta(days=8)) or not table(service), monkeypatch)
    assert archived(bucket)["2025-10"] == months["2025-10"]
