"""What a batch of a job reads: in proportion to what it changes, however much else there is."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from functions.adapters.database import transaction
from functions.domain import dead_letters, holding, missed, reopening
from functions.domain.jobs import Batch, Job
from tests.integration.conftest import Service
from tests.integration.levers_scene import failed, held, waiting
from tests.integration.plans.explained import explained

OTHERS = 30_000  # deliveries beside those that are meant, most of them finished
PAGES = 1_000  # of 8 KiB; all deliveries are on twice as many
MANY = """
WITH e AS (
  INSERT INTO webhook.webhook_events (project_id, type, data, correlation_id)
  SELECT CAST(:p AS uuid), 'type.' || (n % 50), '{}', 'x' FROM generate_series(1, CAST(:many AS integer)) n
  RETURNING id, type
)
INSERT INTO webhook.webhook_deliveries (project_id, webhook_id, event_id, event_type, status, delivered_at)
SELECT CAST(:p AS uuid), CAST(:w AS uuid), id, type, 'delivered', now() FROM e
"""


@pytest.fixture
def crowd(service: Service) -> tuple[Service, dict[str, Any], dict[str, Any]]:
    """A webhook that few things happened to, beside one that got everything."""
    quiet, busy = service.webhook(event_types=["invoice.paid"]), service.webhook()
    service.sql.run(MANY, p=service.project_id, w=busy["id"], many=OTHERS)
    failed(service, quiet, 20)
    waiting(service, quiet, 20)
    held(service, quiet, 20)
    service.sql.run("ANALYZE")
    return service, quiet, busy


def read_by(work: Callable[[Connection], Batch]) -> tuple[int, int]:
    """(rows changed, pages read) of a batch that is undone."""
    with transaction() as connection, explained() as runs:
        changed = work(connection).changed
        connection.get_transaction().rollback()  # type: ignore[union-attr]
    return changed, sum(run.pages for run in runs)


def test_no_batch_reads_what_it_is_not_about(crowd: tuple[Service, dict[str, Any], dict[str, Any]]) -> None:
    service, quiet, _ = crowd
    now = datetime.now(UTC) + timedelta(minutes=1)
    window = {"since": (now - timedelta(days=1)).isoformat(), "until": now.isoformat()}
    by_webhook = {"webhook_id": quiet["id"], **window}

    def job(kind: Any, **parameters: Any) -> Job:
        return Job("x", service.project_id, None, kind, parameters, None, None, "x")

    ((size,),) = service.sql.run("SELECT sum(relpages) FROM pg_class WHERE relname LIKE 'webhook_deliveries%'")
    batches: dict[str, Callable[[Connection], Batch]] = {
        "retry": lambda c: reopening.batch(c, job("retry", event_type="invoice.paid", **window)),
        "retry waiting": lambda c: reopening.batch(c, job("retry", status="pending", **window)),
        "recover": lambda c: reopening.batch(c, job("recover", **by_webhook)),
        "redrive": lambda c: dead_letters.redrive_batch(c, job("redrive", **by_webhook)),
        "discard": lambda c: dead_letters.discard_batch(c, job("discard", created_before=window["until"])),
        "release": lambda c: holding.batch(c, job("release", webhook_id=quiet["id"])),
    }
    read = {name: read_by(batch) for name, batch in batches.items()}
    assert {name: changed for name, (changed, _) in read.items()} == dict.fromkeys(batches, 20)
    assert size > 2 * PAGES
    assert {name: pages for name, (_, pages) in read.items() if pages > PAGES} == {}


def test_what_a_webhook_with_exact_types_missed_is_looked_up_by_them(
    crowd: tuple[Service, dict[str, Any], dict[str, Any]],
) -> None:
    """The 30,000 events of other types are not read."""
    service, quiet, _ = crowd
    service.sql.run("DELETE FROM webhook.webhook_deliveries WHERE webhook_id = :id", id=quiet["id"])
    now = datetime.now(UTC) + timedelta(minutes=1)
    window = {"since": (now - timedelta(days=1)).isoformat(), "until": now.isoformat()}
    one = Job(
        "x", service.project_id, None, "replay_missing", {"webhook_id": quiet["id"], **window}, None, None, "x"
    )
    changed, pages = read_by(lambda connection: missed.batch(connection, one))
    assert changed == 60
    assert pages < 25 * changed, "making a delivery writes to eight indexes"
