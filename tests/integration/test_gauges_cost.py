"""What measuring costs: no scan of a big table, whatever the number of partitions, and no wait for a lock."""

from datetime import UTC, datetime, timedelta

import pytest

from functions.domain.ids import uuid7_floor
from tests.integration.conftest import Service
from tests.integration.figures_scene import eventually, gauges, newest, table

pytestmark = pytest.mark.new_database

BIG = ("webhook_events", "webhook_deliveries", "webhook_delivery_attempts", "audit_log", "webhook_dlq")
PARTITIONS = 300
ROWS = 30_000
PARTITION = (
    "CREATE TABLE webhook.webhook_deliveries_{day:%Y_%m_%d} PARTITION OF webhook.webhook_deliveries"
    " FOR VALUES FROM ('{start}') TO ('{end}')"
)
DELIVERIES = """
INSERT INTO webhook.webhook_deliveries (id, project_id, webhook_id, event_id, event_type, status, sweep_at,
  delivered_at)
SELECT uuidv7(interval '-1 day' * (n % :days)), CAST(:project AS uuid), CAST(:webhook AS uuid), uuidv7(), 'a',
  CASE WHEN n % 100 = 0 THEN 'pending' ELSE 'delivered' END,
  CASE WHEN n % 100 = 0 THEN now() END, CASE WHEN n % 100 <> 0 THEN now() END
FROM generate_series(1, :rows) n
"""
SCANS = """
SELECT coalesce(sum(pg_stat_get_tuples_returned(c.oid)) FILTER (WHERE c.relkind = 'r'), 0),
  coalesce(sum(pg_stat_get_numscans(c.oid)) FILTER (WHERE c.relkind = 'r'), 0),
  coalesce(sum(pg_stat_get_tuples_returned(c.oid)) FILTER (WHERE c.relkind = 'i'), 0)
FROM pg_class c LEFT JOIN pg_index x ON x.indexrelid = c.oid
WHERE c.relnamespace = CAST('webhook' AS regnamespace)
  AND EXISTS (SELECT FROM unnest(CAST(:tables AS text[])) t WHERE starts_with(
    (SELECT relname FROM pg_class WHERE oid = coalesce(x.indrelid, c.oid)), t))
"""


@pytest.fixture
def grown(service: Service) -> Service:
    """Deliveries of 300 days, one in a hundred of them not finished, and statistics that are out of date."""
    webhook = service.webhook()["id"]
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for n in range(PARTITIONS):
        day = today - timedelta(days=n)
        start, end = uuid7_floor(day), uuid7_floor(day + timedelta(days=1))
        service.sql.run(PARTITION.format(day=day, start=start, end=end))
    given = {"days": PARTITIONS, "rows": ROWS, "project": service.project_id, "webhook": webhook}
    service.sql.run(DELIVERIES, **given)
    service.sql.run("ANALYZE webhook.webhook_deliveries")
    return service


def scans(service: Service) -> tuple[int, int, int]:
    """Rows read in order, scans that did so, and entries read of indexes; of the big tables."""
    service.sql.run("SELECT pg_stat_clear_snapshot()")
    ((rows, times, entries),) = service.sql.run(SCANS, tables=list(BIG))
    return int(rows), int(times), int(entries)


def test_no_big_table_is_scanned_whatever_the_number_of_partitions(grown: Service) -> None:
    before = scans(grown)
    gauges()
    eventually(lambda: scans(grown)[2] > before[2], "the session's statistics were written")
    rows, times, entries = scans(grown)
    assert (rows, times) == before[:2]
    assert entries - before[2] < 3 * ROWS // 100
    report = newest(grown)
    assert report["unavailable"] == {}
    deliveries = table(report, "webhook_deliveries")
    assert (deliveries["partitions"], deliveries["rows"]) == (PARTITIONS + 1, ROWS)
    assert report["deliveries"]["unfinished"] == ROWS // 100


def test_statistics_that_are_out_of_date_do_not_make_it_scan(service: Service) -> None:
    """To the planner everything is unfinished, which was so when it last looked."""
    given = {"days": 1, "rows": ROWS, "project": service.project_id, "webhook": service.webhook()["id"]}
    service.sql.run(DELIVERIES, **given)
    set_all = "UPDATE webhook.webhook_deliveries SET status = '{}', sweep_at = {}, delivered_at = {}"
    service.sql.run(set_all.format("pending", "now()", "NULL"))
    service.sql.run("ANALYZE webhook.webhook_deliveries")
    service.sql.run(set_all.format("delivered", "NULL", "now()"))
    before = scans(service)
    gauges()
    eventually(lambda: scans(service)[2] > before[2], "the session's statistics were written")
    assert scans(service)[:2] == before[:2]
    assert newest(service)["deliveries"]["unfinished"] == 0


def test_a_table_that_is_locked_is_not_waited_for_and_the_rest_is_measured(service: Service) -> None:
    service.sql.run("BEGIN")
    service.sql.run("LOCK TABLE webhook.webhook_dlq IN ACCESS EXCLUSIVE MODE")
    gauges()
    service.sql.run("COMMIT")
    report = newest(service)
    assert {"tables", "dead_letters"} <= report["unavailable"].keys()
    assert (report["tables"], report["dead_letters"]) == (None, None)
    assert report["deliveries"]["unfinished"] == 0
    assert report["sessions"]["max_connections"] == 100
    assert {"tables could not be read", "dead_letters could not be read"} <= {
        one["message"].partition(":")[0] for one in report["problems"]
    }
