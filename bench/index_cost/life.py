"""The life of a delivery in three statements of the product's shape, a hundred at a time."""

import json
import random
import statistics
from typing import Any

from bench.database import cpu_us

COUNT = 100
WEBHOOKS, TYPES, PER_EVENT = 300, 20, 3
INDEXES = """
SELECT indexname, replace(pg_get_indexdef(format('webhook.%I', indexname)::regclass), ' ON ONLY ', ' ON ')
FROM pg_indexes
WHERE schemaname = 'webhook' AND tablename = 'webhook_deliveries' AND indexname NOT LIKE '%_pkey' ORDER BY 1
"""
PROJECT = "INSERT INTO webhook.projects (name, data_key) VALUES ('bench', 'k') RETURNING CAST(id AS text)"
MAKE_WEBHOOKS = f"""INSERT INTO webhook.webhooks (project_id, name, url, signing_secret)
SELECT CAST(%s AS uuid), n, 'https://x', 's' FROM generate_series(1, {WEBHOOKS}) n RETURNING CAST(id AS text)"""
FILL = """INSERT INTO webhook.webhook_deliveries
  (project_id, webhook_id, event_id, event_type, status, attempts, delivered_at, last_response_status)
SELECT CAST(%s AS uuid), (CAST(%s AS uuid[]))[1 + n %% 300], uuidv7(), 'invoice.type' || n %% 20, 'delivered', 1,
  now(), 200 FROM generate_series(1, %s) n"""
FAN_OUT = """WITH d AS (
  INSERT INTO webhook.webhook_deliveries (project_id, webhook_id, event_id, event_type, scheduled_at, sweep_at)
  SELECT CAST(%s AS uuid), webhook_id, event_id, event_type, now(), now() + interval '90 s'
  FROM jsonb_to_recordset(CAST(%s AS jsonb)) AS x (webhook_id uuid, event_id uuid, event_type text) RETURNING id)
SELECT json_agg(id)::text FROM d"""
CLAIM = """WITH c AS (
  UPDATE webhook.webhook_deliveries d
  SET status = 'delivering', token = d.token + 1, lease_expires_at = now() + interval '60 s'
  FROM jsonb_to_recordset(CAST(%s AS jsonb)) AS w (id uuid, token integer)
  WHERE d.id = ANY (CAST(%s AS uuid[])) AND d.id = w.id AND d.token = w.token RETURNING d.id, d.token)
SELECT json_agg(json_build_object('id', id, 'token', token))::text FROM c"""
RECORD = """WITH u AS (
  UPDATE webhook.webhook_deliveries d
  SET status = 'delivered', token = d.token + 1, attempts = 1, lease_expires_at = NULL, sweep_at = NULL,
    scheduled_at = NULL, last_attempt_at = now(), last_response_status = 200, delivered_at = now()
  FROM jsonb_to_recordset(CAST(%s AS jsonb)) AS r (id uuid, token integer)
  WHERE d.id = ANY (CAST(%s AS uuid[])) AND d.id = r.id AND d.token = r.token RETURNING d.id)
SELECT count(*) FROM u"""


class Life:
    """Deliveries of one new project, on a table that is emptied and filled with `rows` first."""

    def __init__(self, connection: Any, rows: int) -> None:
        self._connection, self._cursor = connection, connection.cursor()
        self._cursor.execute("TRUNCATE webhook.webhook_deliveries, webhook.projects CASCADE")
        self._project = self._one(PROJECT)
        self._cursor.execute(MAKE_WEBHOOKS, (self._project,))
        self._webhooks = [row[0] for row in self._cursor.fetchall()]
        self._cursor.execute(FILL, (self._project, self._webhooks, rows))
        self._connection.commit()

    def measured(self, before: str, after: str, batches: int) -> tuple[float, ...]:
        """µs of server CPU a delivery of each statement and bytes of WAL, between two changes of the indexes.

        Half as many batches come first and count for nothing: they write the pages that a checkpoint makes whole.
        """
        self._do(before)
        self._do("VACUUM ANALYZE webhook.webhook_deliveries", alone=True)
        self._do("CHECKPOINT", alone=True)
        pid = int(self._one("SELECT pg_backend_pid()"))
        for _ in range(batches // 2):
            self._batch(pid)
        start = self._one("SELECT CAST(pg_current_wal_insert_lsn() AS text)")
        micros = [self._batch(pid) for _ in range(batches)]
        wal = self._one("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), CAST(%s AS pg_lsn))", start)
        self._do(after)
        steps = [statistics.median(step) / COUNT for step in zip(*micros, strict=True)]
        return (*steps, float(wal) / batches / COUNT)

    def _batch(self, pid: int) -> list[float]:
        rows = json.dumps([row for _ in range(COUNT // PER_EVENT + 1) for row in self._event()][:COUNT])
        ids, fan_out = self._timed(pid, FAN_OUT, self._project, rows)
        tokens = json.dumps([{"id": id, "token": 1} for id in json.loads(ids)])
        claimed, claim = self._timed(pid, CLAIM, tokens, json.loads(ids))
        _, record = self._timed(pid, RECORD, claimed, json.loads(ids))
        return [fan_out, claim, record]

    def _event(self) -> list[dict[str, str]]:
        event = {"event_id": self._one("SELECT CAST(uuidv7() AS text)")}
        event["event_type"] = f"invoice.type{random.randrange(TYPES)}"
        return [{**event, "webhook_id": id} for id in random.sample(self._webhooks, PER_EVENT)]

    def _timed(self, pid: int, statement: str, *parameters: Any) -> tuple[Any, float]:
        """What the statement answers, and the server's CPU time for it with its commit, in µs."""
        before = cpu_us(pid)
        answer = self._one(statement, *parameters)
        self._connection.commit()
        return answer, cpu_us(pid) - before

    def _one(self, statement: str, *parameters: Any) -> Any:
        self._cursor.execute(statement, parameters)
        return self._cursor.fetchone()[0]

    def _do(self, statement: str, *, alone: bool = False) -> None:
        if statement:
            self._connection.autocommit = alone
            self._cursor.execute(statement)
            self._connection.commit()
            self._connection.autocommit = False
