"""The job that measures how the database is doing, as the maintenance function runs it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from pg8000.exceptions import DatabaseError

from functions.adapters.database import connect_owner
from functions.domain.figures import kept, measures
from functions.domain.partitions import make_missing
from functions.maintain import gauges as job
from functions.maintain import handler as maintain
from functions.maintain.run import Run
from tests.integration.conftest import Context, Service
from tests.integration.figures_scene import codes, gauges, newest, table

pytestmark = pytest.mark.new_database

NOW = datetime(2026, 11, 21, 12, 3, tzinfo=UTC)
MANY_ROWS = """
INSERT INTO webhook.webhook_event_ids (project_id, external_id, event_id)
SELECT CAST(:project AS uuid), 'an id of somebody else ' || n, uuidv7() FROM generate_series(1, 20000) n
"""


def test_everything_is_measured_and_nothing_is_unavailable(service: Service) -> None:
    service.webhook()
    service.event()
    counts = gauges()
    report = newest(service)
    assert report["unavailable"] == {}
    assert counts["tables"] == len(report["tables"])
    assert counts["unavailable"] == 0
    deliveries = table(report, "webhook_deliveries")
    assert deliveries["partitions"] == 1
    assert deliveries["total_bytes"] == (
        deliveries["heap_bytes"] + deliveries["index_bytes"] + deliveries["toast_bytes"]
    )
    assert deliveries["index_bytes"] > deliveries["heap_bytes"] > 0
    ((bytes_of_all,),) = service.sql.run("SELECT pg_total_relation_size('webhook.webhook_deliveries_default')")
    assert deliveries["largest_bytes"] == deliveries["total_bytes"] == bytes_of_all
    assert report["database"]["bytes"] > deliveries["total_bytes"]
    assert report["sessions"]["connections"] >= 2
    assert report["sessions"]["max_connections"] == 100


def test_what_waits_is_counted_held_back_and_late_apart(service: Service) -> None:
    service.webhook()
    for _ in range(3):
        service.event()
    set_sweep = (
        "UPDATE webhook.webhook_deliveries SET sweep_at = {} WHERE id ="
        " (SELECT id FROM webhook.webhook_deliveries ORDER BY id OFFSET {} LIMIT 1)"
    )
    service.sql.run(set_sweep.format("now() - interval '10 minutes'", 0))
    service.sql.run(set_sweep.format("'infinity'", 1))
    gauges()
    deliveries = newest(service)["deliveries"]
    assert (deliveries["unfinished"], deliveries["held"], deliveries["counted_all"]) == (3, 1, True)
    assert 600 <= deliveries["overdue_seconds"] < 700
    assert "deliveries_overdue" in codes(newest(service))


def test_a_delivery_under_way_is_not_late_before_its_lease_is_over(service: Service) -> None:
    service.webhook()
    service.event()
    service.sql.run(
        "UPDATE webhook.webhook_deliveries SET status = 'delivering', sweep_at = now() - interval '1 hour',"
        " lease_expires_at = now() + interval '1 minute'"
    )
    gauges()
    assert newest(service)["deliveries"]["overdue_seconds"] == 0


def test_partitions_that_are_missing_and_rows_without_one_are_problems(service: Service) -> None:
    service.webhook()
    service.event()
    gauges()
    assert {"partitions_missing", "default_rows"} <= codes(newest(service))
    [events] = [one for one in newest(service)["partitions"] if one["table"] == "webhook_events"]
    assert (events["ahead"], events["days_ahead"], events["default_rows"]) == (0, 0, 1)


def test_partitions_ahead_are_counted_as_far_as_they_reach_without_a_gap(service: Service) -> None:
    service.sql.run("DELETE FROM webhook.audit_log")
    with connect_owner() as connection:
        make_missing(connection)
    gauges()
    report = newest(service)
    assert not {"partitions_missing", "default_rows"} & codes(report)
    [events] = [one for one in report["partitions"] if one["table"] == "webhook_events"]
    assert (events["ahead"], events["default_rows"]) == (14, 0)
    assert 14 <= events["days_ahead"] <= 15
    day = datetime.now(UTC) + timedelta(days=3)
    service.sql.run(f"DROP TABLE webhook.webhook_events_{day:%Y_%m_%d}")
    gauges()
    [events] = [one for one in newest(service)["partitions"] if one["table"] == "webhook_events"]
    assert events["ahead"] == 13
    assert 2 <= events["days_ahead"] <= 3
    assert newest(service)["measures"][measures.PARTITION_DAYS_AHEAD] == events["days_ahead"]


def test_a_partition_past_its_retention_is_named(service: Service) -> None:
    service.sql.run(
        "CREATE TABLE webhook.webhook_events_2020_01_01 PARTITION OF webhook.webhook_events FOR VALUES"
        " FROM ('016f5e66-e800-0000-0000-000000000000') TO ('016f638d-4400-0000-0000-000000000000')"
    )
    gauges()
    [events] = [one for one in newest(service)["partitions"] if one["table"] == "webhook_events"]
    assert events["past_retention"] == ["webhook_events_2020_01_01"]
    assert events["days_past_retention"] > 1000
    assert "past_retention" in codes(newest(service))


def test_bloat_is_what_was_deleted_and_not_what_is_there(service: Service) -> None:
    service.sql.run(MANY_ROWS, project=service.project_id)
    service.sql.run("VACUUM ANALYZE webhook.webhook_event_ids")
    gauges()
    full = table(newest(service), "webhook_event_ids")
    assert full["rows"] == 20_000
    assert full["bloat_percent"] < 40  # the keys came in no order, so that their index has pages half full
    assert full["heap_bloat_bytes"] < full["heap_bytes"] / 20
    service.sql.run("DELETE FROM webhook.webhook_event_ids WHERE hashtext(external_id) % 4 <> 0")
    service.sql.run("VACUUM ANALYZE webhook.webhook_event_ids")
    gauges()
    thin = table(newest(service), "webhook_event_ids")
    assert 4_000 < thin["rows"] < 6_000
    assert thin["bloat_percent"] > 65
    assert thin["heap_bloat_bytes"] > thin["heap_bytes"] * 0.65
    assert thin["index_bloat_bytes"] > thin["index_bytes"] * 0.6


def test_growth_is_that_of_a_day(service: Service) -> None:
    job.run(Run(now=NOW - timedelta(hours=23)))
    before = table(newest(service), "webhook_event_ids")
    assert before["total_bytes_per_day"] is None
    service.sql.run(MANY_ROWS, project=service.project_id)
    service.sql.run("ANALYZE webhook.webhook_event_ids")
    job.run(Run(now=NOW))
    after = table(newest(service), "webhook_event_ids")
    grown = after["total_bytes"] - before["total_bytes"]
    assert after["total_bytes_per_day"] == round(grown * 24 / 23)
    assert after["rows_per_day"] == round(20_000 * 24 / 23)
    assert newest(service)["database"]["bytes_per_day"] >= after["total_bytes_per_day"]


def test_reports_are_kept_for_two_days_and_one_an_hour_for_five_weeks(service: Service) -> None:
    ages = [timedelta(minutes=5), timedelta(minutes=20), timedelta(hours=47), timedelta(hours=50, minutes=8)]
    ages += [timedelta(hours=50, minutes=13), timedelta(days=34), timedelta(days=36)]
    with connect_owner() as connection, connection.begin():
        for age in sorted(ages, reverse=True):
            kept.keep(connection, NOW - age, {})
        assert kept.prune(connection, NOW) == 2
    left = service.sql.run("SELECT CAST(:now AS timestamptz) - made_at FROM webhook.reports", now=NOW)
    pruned = {timedelta(hours=50, minutes=8), timedelta(days=36)}  # its hour had one five minutes before
    assert {age for (age,) in left} == set(ages) - pruned


def test_metrics_are_a_fixed_set_with_one_dimension(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "hookline-dev-maintain")
    service.webhook()
    service.event()
    gauges()
    [line] = [one for one in capsys.readouterr().out.splitlines() if measures.DATABASE_BYTES in one]
    published = json.loads(line)
    [described] = published["_aws"]["CloudWatchMetrics"]
    assert (described["Namespace"], described["Dimensions"]) == ("Hookline", [["service"]])
    assert published["service"] == "hookline-dev-maintain"
    names = {one["Name"] for one in described["Metrics"]}
    assert names | {measures.CACHE_HIT_PERCENT} == set(measures.UNITS) - {measures.DISPATCHER_HEARTBEAT}
    assert published[measures.UNFINISHED_DELIVERIES] == [1.0]


def test_a_job_that_fails_leaves_its_error_and_the_next_report_says_so(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(run: Run) -> dict[str, int]:
        raise RuntimeError("no disk")

    monkeypatch.setitem(maintain.JOBS, "partitions", broken)
    with pytest.raises(RuntimeError, match="no disk"):
        maintain.handler({"job": "partitions"}, Context())
    gauges()
    [beat] = [one for one in newest(service)["heartbeats"] if one["name"] == "maintain.partitions"]
    assert (beat["failing"], beat["error"]) == (True, "RuntimeError: no disk")
    assert "run_failed" in codes(newest(service))


def test_the_heartbeat_of_a_job_keeps_what_it_did(service: Service) -> None:
    counts = gauges()
    ((succeeded, told, failed),) = service.sql.run(
        "SELECT succeeded_at, counts, failed_at FROM webhook.heartbeats WHERE name = 'maintain.gauges'"
    )
    assert abs(datetime.now(UTC) - succeeded) < timedelta(minutes=5)
    assert (told, failed) == (counts, None)


@pytest.mark.parametrize("figures", ["[]", "null", "1"])
def test_a_report_is_an_object(service: Service, figures: str) -> None:
    with pytest.raises(DatabaseError, match="reports_figures_are_an_object"):
        service.sql.run(
            "INSERT INTO webhook.reports VALUES (now(), true, CAST(:figures AS jsonb))", figures=figures
        )


def test_where_statements_are_not_counted_none_are_told_and_nothing_is_amiss(service: Service) -> None:
    gauges()
    assert newest(service)["statements"] is None
    assert "unavailable" not in codes(newest(service))
