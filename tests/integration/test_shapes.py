"""What rows have to be like is the database's own business: each rule refuses a row that is made to break it."""

from collections.abc import Iterator

import pg8000.native
import pytest
from pg8000.exceptions import DatabaseError

from tests.conftest import Databases
from tests.integration.shapes import BREAKS
from tests.migrations.rows import KEY, fill

CASES = [
    (table, constraint, change)
    for table, breaks in BREAKS.items()
    for constraint, changes in breaks.items()
    for change in ([changes] if isinstance(changes, str) else changes)
]
CHECKS = """
SELECT c.relname, k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE k.contype = 'c' AND c.relnamespace = 'webhook'::regnamespace AND NOT c.relispartition
"""
FIRST_COLUMN = "SELECT attname FROM pg_attribute WHERE attrelid = CAST(:table AS regclass) AND attnum = 1"


@pytest.fixture(scope="module")
def filled(databases: Databases) -> Iterator[pg8000.native.Connection]:
    with databases.connect(databases.migrated()) as sql:
        fill(sql)
        yield sql


@pytest.mark.parametrize(("table", "constraint", "change"), CASES)
def test_a_row_that_breaks_a_rule_is_refused_by_that_rule(
    filled: pg8000.native.Connection, table: str, constraint: str, change: str
) -> None:
    ((first,),) = filled.run(FIRST_COLUMN, table=f"webhook.{table}")
    where = "" if " WHERE " in change else f" WHERE {first} = '{KEY}'"
    assert filled.run(f"SELECT count(*) FROM webhook.{table}") != [[0]]
    filled.run("BEGIN")
    with pytest.raises(DatabaseError) as refused:
        filled.run(f"UPDATE webhook.{table} SET {change}{where}")
    filled.run("ROLLBACK")
    assert refused.value.args[0].get("n") == constraint, refused.value


def test_every_rule_there_is_is_tried(filled: pg8000.native.Connection) -> None:
    tried = {(table, constraint) for table, constraint, _ in CASES}
    assert {tuple(row) for row in filled.run(CHECKS)} ^ tried == set()


REFERENCES = [
    ("webhook_events", "project_id = uuidv7()", "webhook_events_project_id_fkey"),
    ("webhook_events", "application_id = uuidv7()", "webhook_events_application_fkey"),
    ("webhook_deliveries", "webhook_id = uuidv7()", "webhook_deliveries_webhook_fkey"),
    ("webhook_dlq", "webhook_id = uuidv7()", "webhook_dlq_webhook_fkey"),
    (
        "webhook_dlq",
        f"updated_by = uuidv7() WHERE status <> 'pending' AND id <> '{KEY}'",
        "webhook_dlq_updated_by_fkey",
    ),
    ("webhooks", "application_id = uuidv7()", "webhooks_application_fkey"),
    ("webhook_subscriptions", "webhook_id = uuidv7()", "webhook_subscriptions_webhook_fkey"),
    ("jobs", "created_by = uuidv7()", "jobs_created_by_fkey"),
]


@pytest.mark.parametrize(("table", "change", "constraint"), REFERENCES)
def test_what_has_a_parent_cannot_be_without_it(
    filled: pg8000.native.Connection, table: str, change: str, constraint: str
) -> None:
    test_a_row_that_breaks_a_rule_is_refused_by_that_rule(filled, table, constraint, change)


FITTING = [
    ("webhooks", """retry_strategy = '{"kind": "custom", "delays_seconds": [1, 604800], "jitter": true}'"""),
    ("webhooks", """retry_strategy = '{"kind": "exponential", "factor": 1.5, "initial_seconds": 1}'"""),
    ("webhooks", """retry_strategy = '{"kind": "linear", "step_seconds": 5, "max_seconds": 50}'"""),
    ("webhooks", "headers = '{}', credentials = NULL, auth_type = 'none'"),
    ("webhooks", "signing_secret = '', credentials = NULL, deleted_at = now()"),
    ("projects", "retention = NULL"),
    ("projects", "retention = '{}'"),
    ("projects", """retention = '{"events": 1}'"""),
    ("audit_log", "before = NULL, after = NULL"),
    ("webhook_events", "data = 'null'"),
    ("webhook_dlq", "event_type = NULL"),
]


@pytest.mark.parametrize(("table", "change"), FITTING)
def test_what_fits_is_taken(filled: pg8000.native.Connection, table: str, change: str) -> None:
    filled.run("BEGIN")
    filled.run(f"UPDATE webhook.{table} SET {change} WHERE id = '{KEY}'")
    assert filled.row_count == 1
    filled.run("ROLLBACK")
