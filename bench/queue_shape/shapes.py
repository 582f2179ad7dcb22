"""The shapes that are compared: their tables, and the three statements of a delivery's life in each."""

from dataclasses import dataclass

TABLES = """
CREATE SCHEMA m;
CREATE TABLE m.projects (id uuid PRIMARY KEY DEFAULT uuidv7());
CREATE TABLE m.webhooks (id uuid PRIMARY KEY DEFAULT uuidv7(), project_id uuid NOT NULL REFERENCES m.projects);
CREATE TABLE m.deliveries (id uuid NOT NULL DEFAULT uuidv7(), project_id uuid NOT NULL {to_projects},
  event_id uuid NOT NULL, webhook_id uuid NOT NULL {to_webhooks}, event_type varchar(255) NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivering', 'delivered', 'failed')),
  attempts int NOT NULL DEFAULT 0, max_attempts int NOT NULL DEFAULT 6, {queue_columns}
  scheduled_at timestamptz, last_attempt_at timestamptz, last_response_status int, last_error_code text,
  last_error_message text, delivered_at timestamptz, created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE m.attempts (id uuid NOT NULL DEFAULT uuidv7(), delivery_id uuid NOT NULL {to_deliveries},
  project_id uuid NOT NULL, attempt_number int NOT NULL, request_url text, request_headers jsonb,
  request_sent_at timestamptz, response_status int, response_headers jsonb, response_body text,
  response_time_ms int, remote_address inet, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE INDEX ON m.deliveries (webhook_id, id);
CREATE INDEX ON m.deliveries (event_id);
CREATE INDEX ON m.deliveries (project_id, id);
CREATE INDEX ON m.attempts (delivery_id);
{queue_tables}
"""
COLUMNS = "token int NOT NULL DEFAULT 1, sweep_at timestamptz, lease_expires_at timestamptz,"
SWEEP_INDEX = "CREATE INDEX ON m.deliveries (sweep_at) WHERE sweep_at IS NOT NULL;"
OUTBOX = """
CREATE TABLE m.outbox (delivery_id uuid PRIMARY KEY, token int NOT NULL DEFAULT 1, sweep_at timestamptz NOT NULL)
  WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX ON m.outbox (sweep_at);
"""
INSERT = """INSERT INTO m.deliveries (project_id, event_id, webhook_id, event_type{columns})
  SELECT project_id, CAST(%s AS uuid), id, 'invoice.paid'{values} FROM m.webhooks RETURNING id"""
WANTED = "unnest(CAST(%s AS uuid[]), CAST(%s AS int[])) AS w (id, token)"
ROWS = """r AS MATERIALIZED (SELECT * FROM jsonb_to_recordset(CAST(%s AS jsonb))
  AS x (id uuid, token int, headers jsonb))"""
ATTEMPTS = """a AS (INSERT INTO m.attempts (delivery_id, project_id, attempt_number, request_url, request_headers,
    request_sent_at, response_status, response_headers, response_body, response_time_ms, remote_address)
  SELECT r.id, CAST(%s AS uuid), 1, 'http://127.0.0.1:8000/hook', r.headers, now(), 200, r.headers, 'ok', 3,
    '127.0.0.1' FROM r)"""
DELIVERED = """status = 'delivered', attempts = 1, last_response_status = 200, last_attempt_at = now(),
  delivered_at = now()"""
CLAIMED = "SELECT json_agg(json_build_array(id, token))::text FROM c"


@dataclass(frozen=True)
class Shape:
    """`claim` takes ids, tokens, ids; `record` takes rows, ids (twice where `records_twice`) and the project."""

    name: str
    tables: str
    fan_out: str
    claim: str
    record: str
    records_twice: bool = False


def _columns(name: str, lease: str, *, keys: bool = False) -> Shape:
    return Shape(
        name,
        _tables(COLUMNS, SWEEP_INDEX, keys=keys),
        "WITH d AS (" + INSERT.format(columns=", sweep_at", values=", now() + interval '90 s'") + ")"
        " SELECT json_agg(id)::text FROM d",
        f"""WITH c AS (UPDATE m.deliveries d SET token = d.token + 1, status = 'delivering',
          {lease} = now() + interval '60 s' FROM {WANTED}
          WHERE d.id = w.id AND d.token = w.token AND d.id = ANY (CAST(%s AS uuid[]))
          RETURNING d.id, d.token) {CLAIMED}""",
        f"""WITH {ROWS}, u AS (UPDATE m.deliveries d SET {DELIVERED}, token = d.token + 1, sweep_at = NULL,
          lease_expires_at = NULL FROM r
          WHERE d.id = ANY (CAST(%s AS uuid[])) AND d.id = r.id AND d.token = r.token RETURNING d.id), {ATTEMPTS}
          SELECT count(*) FROM u""",
    )


def _small_table(name: str, *, keys: bool = False) -> Shape:
    return Shape(
        name,
        _tables("", OUTBOX, keys=keys),
        "WITH d AS (" + INSERT.format(columns="", values="") + "), o AS (INSERT INTO m.outbox (delivery_id,"
        " sweep_at) SELECT id, now() + interval '90 s' FROM d) SELECT json_agg(id)::text FROM d",
        f"""WITH o AS (UPDATE m.outbox q SET token = q.token + 1, sweep_at = now() + interval '60 s' FROM {WANTED}
          WHERE q.delivery_id = w.id AND q.token = w.token RETURNING q.delivery_id, q.token),
          c AS (SELECT d.id, o.token FROM o JOIN m.deliveries d ON d.id = o.delivery_id
          WHERE d.id = ANY (CAST(%s AS uuid[]))) {CLAIMED}""",
        f"""WITH {ROWS}, q AS (DELETE FROM m.outbox o USING r WHERE o.delivery_id = ANY (CAST(%s AS uuid[]))
          AND o.delivery_id = r.id AND o.token = r.token RETURNING o.delivery_id),
          u AS (UPDATE m.deliveries d SET {DELIVERED} FROM q
          WHERE d.id = ANY (CAST(%s AS uuid[])) AND d.id = q.delivery_id RETURNING d.id), {ATTEMPTS}
          SELECT count(*) FROM u""",
        records_twice=True,
    )


def _tables(queue_columns: str, queue_tables: str, *, keys: bool) -> str:
    return TABLES.format(
        queue_columns=queue_columns,
        queue_tables=queue_tables,
        to_projects="REFERENCES m.projects" if keys else "",
        to_webhooks="REFERENCES m.webhooks" if keys else "",
        to_deliveries="REFERENCES m.deliveries" if keys else "",
    )


SHAPES = (
    _columns("columns, lease in the indexed time", "sweep_at"),
    _columns("columns, lease apart", "lease_expires_at"),
    _columns("columns, lease apart, with foreign keys", "lease_expires_at", keys=True),
    _small_table("small table of unfinished deliveries"),
)
