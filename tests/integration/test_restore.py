"""Bringing archived days back: every row as it was, checked, found by the API, and gone again in time."""

import gzip
import io
import json
from datetime import timedelta
from typing import Any

import boto3
import pytest

from functions.maintain import restore
from functions.maintain.run import Run
from tests.integration.archive_scene import (
    JUNE,
    LATER,
    MUCH_LATER,
    TABLES,
    Past,
    archive_all,
    bucket,
    restore_days,
    retain,
)
from tests.integration.conftest import Service

__all__ = ["bucket"]
NOTHING: dict[str, Any] = {name: [] for name in (*TABLES, "own ids")}


@pytest.fixture
def past(service: Service, bucket: str) -> Past:
    past = Past(service)
    past.day(JUNE)
    return past


def gone(past: Past, now: Any = MUCH_LATER) -> dict[str, Any]:
    """Archive and drop everything; what there was."""
    before = past.everything()
    archive_all(now)
    assert retain(now)["dropped"] == 4
    assert past.everything() == NOTHING
    return before


def everything_in(bucket: str) -> str:
    """The text of all files, as they are now."""
    s3 = boto3.client("s3")
    bodies = [s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in _listed(s3, bucket)]
    return "".join((gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode() for body in bodies)


def change_file(bucket: str, key: str, lines: Any) -> None:
    s3 = boto3.client("s3")
    body = gzip.decompress(s3.get_object(Bucket=bucket, Key=key)["Body"].read()).splitlines()
    s3.put_object(Bucket=bucket, Key=key, Body=gzip.compress(b"".join(line + b"\n" for line in lines(body))))


def test_every_row_of_every_table_comes_back_as_it_was(past: Past) -> None:
    before = gone(past)
    answer = restore_days(MUCH_LATER, "2026-06-01", "2026-06-01")
    assert past.everything() == before
    assert (answer["done"], answer["restored"], answer["rows"]) == (1, 4, 20 + 20 + 40 + 20)
    assert (answer["beside"], answer["damaged"], answer["not_compared"]) == ([], [], 0)


def test_jsons_null_and_an_expunged_payload_are_told_apart(past: Past) -> None:
    count = "SELECT count(*) FROM webhook.webhook_events WHERE "
    before = [past.sql.run(count + condition) for condition in ("data = 'null'", "data IS NULL")]
    assert before == [[[1]], [[4]]]
    gone(past)
    restore_days(MUCH_LATER, "2026-06-01", "2026-06-01")
    assert [past.sql.run(count + condition) for condition in ("data = 'null'", "data IS NULL")] == before


def test_the_api_finds_and_replays_what_was_restored(past: Past) -> None:
    client = past.service.client
    ((event, own_id),) = past.sql.run(
        "SELECT id, external_id FROM webhook.webhook_events"
        " WHERE external_id IS NOT NULL AND data IS NOT NULL ORDER BY id LIMIT 1"
    )
    ((delivery,),) = past.sql.run("SELECT id FROM webhook.webhook_deliveries WHERE event_id = :id", id=event)
    shown = client("GET", f"/v1/events/{event}").body
    gone(past)
    assert client("GET", f"/v1/events/{event}").status == 404
    restore_days(MUCH_LATER, "2026-06-01", "2026-06-01")
    assert client("GET", f"/v1/events/{event}").body == shown
    assert client("GET", f"/v1/events/{event}").body["external_id"] == own_id
    assert len(client("GET", f"/v1/deliveries/{delivery}/attempts").body["data"]) == 2
    replayed = client("POST", f"/v1/events/{event}/replay", {})
    assert replayed.status in {200, 202}, replayed.body
    ((pending,),) = past.sql.run(
        "SELECT count(*) FROM webhook.webhook_deliveries WHERE event_id = :id AND status = 'pending'", id=event
    )
    assert pending == 1


def test_a_partition_that_came_back_is_like_any_other(past: Past) -> None:
    """Indexes, constraints, fillfactor, owner: and statements use it."""
    described = """
        SELECT (SELECT count(*) FROM pg_index WHERE indrelid = c.oid), c.reloptions, pg_get_userbyid(c.relowner),
          (SELECT array_agg(conname::text ORDER BY conname) FROM pg_constraint
            WHERE conrelid = c.oid AND conname <> 'bounds' AND convalidated)
        FROM pg_class c WHERE c.relname = 'webhook_deliveries_2026_06'"""
    before = past.sql.run(described)
    gone(past)
    restore_days(MUCH_LATER, "2026-06-01", "2026-06-01")
    assert past.sql.run(described) == before
    assert past.partitions("webhook_deliveries") == ["webhook_deliveries_2026_06"]


def test_restoring_again_changes_nothing_and_only_what_is_asked_for_comes(past: Past) -> None:
    before = gone(past)
    answer = restore_days(MUCH_LATER, "2026-06-01", "2026-06-30", tables=["webhook_deliveries"])
    assert answer["restored"] == 1
    assert past.rows("webhook_deliveries") == before["webhook_deliveries"]
    assert past.rows("webhook_events") == []
    again = restore_days(MUCH_LATER, "2026-06-01", "2026-06-30", tables=["webhook_deliveries"])
    assert (again["done"], again["rows"], again["parts"], again["loaded"]) == (1, 0, 3, 3)
    assert past.rows("webhook_deliveries") == before["webhook_deliveries"]
    assert restore_days(MUCH_LATER, "2026-06-02", "2026-06-30", tables=["webhook_events"])["archives"] == 0


def test_it_goes_on_where_the_last_run_ended(past: Past) -> None:
    before = gone(past)
    parameters = {"from": "2026-06-01", "to": "2026-06-01"}
    steps = [restore.run(_Steps(now=MUCH_LATER, parameters=parameters)) for _ in range(6)]
    while not steps[-1]["done"]:
        assert len(steps) < 40
        steps.append(restore.run(_Steps(now=MUCH_LATER, parameters=parameters)))
    assert steps[-1]["restored"] == 4
    assert past.everything() == before


def test_it_goes_again_after_its_days_and_the_archive_stays_as_it_is(past: Past, bucket: str) -> None:
    before = gone(past)
    s3 = boto3.client("s3")
    files = {one["Key"]: (one["ETag"], one["LastModified"]) for one in _listed(s3, bucket)}
    restore_days(MUCH_LATER, "2026-06-01", "2026-06-01", days=3)
    held = retain(MUCH_LATER + timedelta(days=2))
    assert (held["held"], held["dropped"]) == (4, 0)
    assert past.everything() == before
    answer = retain(MUCH_LATER + timedelta(days=4))
    assert (answer["dropped"], answer["rewritten"]) == (4, 0)
    assert past.everything() == NOTHING
    assert {one["Key"]: (one["ETag"], one["LastModified"]) for one in _listed(s3, bucket)} == files
    restore_days(MUCH_LATER + timedelta(days=5), "2026-06-01", "2026-06-01")
    assert past.everything() == before


def test_what_changed_while_it_was_back_goes_into_the_archive(past: Past) -> None:
    """Such as a payload that was expunged: restored, erased and archived again it is gone from the archive."""
    gone(past)
    restore_days(MUCH_LATER, "2026-06-01", "2026-06-01", days=1)
    ((event,),) = past.sql.run("SELECT id FROM webhook.webhook_events ORDER BY id LIMIT 1")
    assert past.service.client("DELETE", f"/v1/events/{event}/payload").status == 200
    before = past.everything()
    answer = retain(MUCH_LATER + timedelta(days=2))
    assert answer["dropped"] == 4
    assert answer["rewritten"] >= 2  # the event's chunk and that of its attempts
    restore_days(MUCH_LATER + timedelta(days=3), "2026-06-01", "2026-06-01")
    assert past.everything() == before | {"audit_log": past.rows("audit_log")}


def test_a_payload_that_is_erased_while_it_is_back_is_in_no_file_any_more(past: Past, bucket: str) -> None:
    word, answered = "the-word-of-a-customer", "the-answer-to-it"
    past.sql.run("SET session_replication_role = replica")
    event, delivery = past.sql.run(
        "SELECT event_id, id FROM webhook.webhook_deliveries ORDER BY id OFFSET 2 LIMIT 1"
    )[0]
    past.sql.run(
        "UPDATE webhook.webhook_events SET data = to_jsonb(:word::text) WHERE id = :id", word=word, id=event
    )
    past.sql.run(
        "UPDATE webhook.webhook_delivery_attempts SET response_body = :answered WHERE delivery_id = :id",
        answered=answered,
        id=delivery,
    )
    gone(past)
    assert [text in everything_in(bucket) for text in (word, answered)] == [True, True]
    assert past.service.client("DELETE", f"/v1/events/{event}/payload").status == 404
    restore_days(MUCH_LATER, "2026-06-01", "2026-06-01", days=1)
    assert past.service.client("DELETE", f"/v1/events/{event}/payload").status == 200
    assert retain(MUCH_LATER + timedelta(days=2))["dropped"] == 4
    assert [text in everything_in(bucket) for text in (word, answered)] == [False, False]
    restore_days(MUCH_LATER + timedelta(days=3), "2026-06-01", "2026-06-01")
    read = past.service.client("GET", f"/v1/events/{event}").body
    assert (read["data"], read["expunged_at"] is None) == (None, False)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda lines: lines[1:], "is not as its manifest says"),
        (lambda lines: [*lines, lines[-1]], "is not as its manifest says"),
        (lambda lines: [lines[0].replace(b"invoice.paid", b"invoice.void"), *lines[1:]], "manifest says"),
        (lambda lines: [b"nonsense", *lines], "a line begins with"),
    ],
    ids=["a line lost", "a line twice", "a word changed", "something else"],
)
def test_a_damaged_file_is_said_and_never_attached(past: Past, bucket: str, damage: Any, said: str) -> None:
    gone(past)
    change_file(bucket, "archive/webhook_events/2026-06-01/part-00001.jsonl.gz", damage)
    answer = restore_days(MUCH_LATER, "2026-06-01", "2026-06-01")
    assert len(answer["damaged"]) == 1
    assert said in answer["damaged"][0]
    assert answer["restored"] == 3
    assert past.rows("webhook_events") == []


def test_a_missing_manifest_is_said(past: Past, bucket: str) -> None:
    gone(past)
    boto3.client("s3").delete_object(Bucket=bucket, Key="archive/webhook_deliveries/2026-06/_manifest.json")
    answer = restore_days(MUCH_LATER, "2026-06-01", "2026-06-01")
    assert answer["damaged"] == ["archive/webhook_deliveries/2026-06/_manifest.json is not there"]


def test_rows_whose_webhook_is_gone_stay_beside_the_live_tables(past: Past) -> None:
    before = gone(past)
    past.sql.run("DELETE FROM webhook.webhook_health")
    past.sql.run("DELETE FROM webhook.webhook_subscriptions")
    past.sql.run("DELETE FROM webhook.webhooks")
    answer = restore_days(MUCH_LATER, "2026-06-01", "2026-06-01")
    assert [one["table"] for one in answer["beside"]] == ["webhook.webhook_deliveries_2026_06"]
    assert "webhook_deliveries_webhook_fkey" in answer["beside"][0]["reason"]
    assert answer["done"] == 1
    assert past.rows("webhook_deliveries") == []
    assert past.rows("webhook_deliveries_2026_06") == before["webhook_deliveries"]
    assert restore_days(MUCH_LATER, "2026-06-01", "2026-06-01")["beside"] == answer["beside"]
    later = retain(MUCH_LATER + timedelta(days=30))
    assert later["dropped"] == 4
    assert past.sql.run("SELECT to_regclass('webhook.webhook_deliveries_2026_06')") == [[None]]


def test_rows_that_cannot_be_loaded_are_said_and_do_not_keep_the_others_back(past: Past) -> None:
    gone(past)
    past.sql.run("ALTER TABLE webhook.webhook_events ADD COLUMN region text NOT NULL")
    answer = restore_days(MUCH_LATER, "2026-06-01", "2026-06-01")
    assert [one["table"] for one in answer["beside"]] == ["webhook.webhook_events_2026_06_01"]
    assert "region" in answer["beside"][0]["reason"]
    assert (answer["done"], answer["restored"]) == (1, 3)


def test_archives_of_an_older_schema_get_defaults_for_what_came_since(past: Past) -> None:
    before = gone(past)
    past.sql.run(
        "ALTER TABLE webhook.webhook_events ADD COLUMN priority integer NOT NULL DEFAULT 7, ADD note text"
    )
    answer = restore_days(MUCH_LATER, "2026-06-01", "2026-06-01", tables=["webhook_events"])
    assert (answer["restored"], answer["not_compared"]) == (1, 0)
    assert past.sql.run("SELECT DISTINCT priority, note FROM webhook.webhook_events") == [[7, None]]
    assert [row[0] for row in past.rows("webhook_events")] == [row[0] for row in before["webhook_events"]]
    # And back: the new columns are in the archive now, for the next time.
    restored = past.rows("webhook_events")
    assert retain(MUCH_LATER + timedelta(days=30))["rewritten"] == 3
    restore_days(MUCH_LATER + timedelta(days=30), "2026-06-01", "2026-06-01", tables=["webhook_events"])
    assert past.rows("webhook_events") == restored


def test_columns_that_were_dropped_since_are_left_out_and_that_is_said(past: Past) -> None:
    gone(past)
    past.sql.run("ALTER TABLE webhook.webhook_delivery_attempts DROP COLUMN remote_address")
    answer = restore_days(MUCH_LATER, "2026-06-01", "2026-06-01", tables=["webhook_delivery_attempts"])
    assert (answer["restored"], answer["rows"], answer["not_compared"]) == (1, 40, 6)


def test_own_ids_that_were_used_anew_stay_with_the_newer_event(past: Past) -> None:
    ((event, own_id),) = past.sql.run(
        "SELECT id, external_id FROM webhook.webhook_events WHERE external_id IS NOT NULL ORDER BY id LIMIT 1"
    )
    gone(past)
    newer = past.service.event(id=own_id)
    restore_days(MUCH_LATER, "2026-06-01", "2026-06-01")
    named = "SELECT event_id FROM webhook.webhook_event_ids WHERE external_id = :id"
    assert [str(id) for (id,) in past.sql.run(named, id=own_id)] != [str(event)]
    assert past.service.event(id=own_id)["id"] == newer["id"]


def test_what_is_still_in_the_database_is_only_held(past: Past) -> None:
    archive_all(LATER)
    before = past.everything()
    answer = restore_days(LATER, "2026-06-01", "2026-06-01")
    assert (answer["archives"], answer["restored"], answer["rows"]) == (3, 3, 0)
    assert past.everything() == before
    assert retain(LATER)["held"] == 3


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "`from` must be a day"),
        ({"from": "2026-06-01", "to": "June"}, "`to` must be a day"),
        ({"from": "2026-06-02", "to": "2026-06-01"}, "before"),
        ({"from": "2026-06-01", "to": "2026-06-01", "tables": ["webhooks"]}, "no archives of webhooks"),
        ({"from": "2026-06-01", "to": "2026-06-01", "days": 0}, "`days` must be"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parameters_that_make_no_sense_are_refused(bucket: str, parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        restore.run(Run(now=LATER, parameters=parameters))


def test_postgres_reads_the_files_without_us(past: Past, bucket: str) -> None:
    """As docs/archive.md has it: a character that JSON never has bare makes COPY take lines as they are."""
    before = past.rows("webhook_deliveries")
    gone(past)
    past.sql.run("CREATE TEMP TABLE lines (line text)")
    for n in range(3):
        key = f"archive/webhook_deliveries/2026-06/part-{n:05}.jsonl.gz"
        body = gzip.decompress(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
        copy = r"COPY lines FROM STDIN (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')"
        past.sql.run(copy, stream=io.BytesIO(body))
    past.sql.run(
        "INSERT INTO webhook.webhook_deliveries SELECT r.* FROM lines,"
        " json_populate_record(CAST(NULL AS webhook.webhook_deliveries), CAST(line AS json)) r"
    )
    assert past.rows("webhook_deliveries") == before


def _listed(s3: Any, bucket: str) -> list[dict[str, Any]]:
    return list(json.loads(json.dumps(s3.list_objects_v2(Bucket=bucket)["Contents"], default=str)))


class _Steps(Run):
    """A run that has time for three things."""

    def has_time(self) -> bool:
        asked: list[None] = self.__dict__.setdefault("asked", [])
        asked.append(None)
        return len(asked) <= 3
