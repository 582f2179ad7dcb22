"""The rows: deliveries of ninety days, made in the database, because a million calls would take an hour."""

import pg8000.native

# The service makes partitions for now and the months ahead; these are for the rows of before.
PARTITIONS = """DO $$
DECLARE at timestamptz; name text;
BEGIN
  FOR k IN 1 .. 4 LOOP
    at := date_add(date_trunc('month', now(), 'UTC'), -k * interval '1 month', 'UTC');
    name := 'webhook_deliveries_' || to_char(at AT TIME ZONE 'UTC', 'YYYY_MM');
    CONTINUE WHEN to_regclass('webhook.' || name) IS NOT NULL;
    EXECUTE format('CREATE TABLE webhook.%I PARTITION OF webhook.webhook_deliveries FOR VALUES FROM (%L) TO (%L)'
      ' WITH (fillfactor = 45)', name, webhook.uuidv7_floor(at),
      webhook.uuidv7_floor(date_add(at, interval '1 month', 'UTC')));
  END LOOP;
END $$"""

# Webhook 0 had a third of its project's deliveries until a month ago; `legacy.import` is a type of two months ago.
# What waits is held, as for a paused webhook: the service leaves it alone.
DELIVERIES = """
INSERT INTO webhook.webhook_deliveries (id, project_id, webhook_id, application_id, event_id, event_type, status,
  attempts, sweep_at, failed_at, delivered_at, last_attempt_at, last_response_status, last_error_code,
  last_error_message, created_at)
SELECT uuidv7(at - clock_timestamp()), w.project_id, w.id, w.application_id,
  CASE WHEN n % 100000 = 0 THEN CAST(:event AS uuid) ELSE uuidv7(at - clock_timestamp()) END, type, status,
  CASE status WHEN 'pending' THEN 0 ELSE 1 END,
  CASE status WHEN 'pending' THEN CAST('infinity' AS timestamptz) END,
  CASE status WHEN 'failed' THEN at END,
  CASE status WHEN 'delivered' THEN at END,
  CASE WHEN status <> 'pending' THEN at END,
  CASE WHEN status <> 'pending' THEN response END,
  CASE status WHEN 'failed' THEN 'http_status' END,
  CASE status WHEN 'failed' THEN 'the endpoint answered ' || response END, at
FROM (
  SELECT n, at, r1,
    CASE WHEN r2 < 0.33 AND at < now() - interval '30 days' THEN 0
      ELSE 1 + floor(CAST(:webhooks AS integer) * r2 ^ 2) END AS webhook,
    CASE WHEN r1 < 0.01 AND at < now() - interval '60 days' THEN 'legacy.import'
      ELSE 'kind' || floor(5 * r1 ^ 2) || '.part' || floor(6 * r2 ^ 2) END AS type,
    CASE WHEN r3 < 0.04 THEN 'failed' WHEN r3 < 0.05 AND at > now() - interval '2 days' THEN 'pending'
      ELSE 'delivered' END AS status,
    CASE WHEN r3 < 0.0002 THEN 404 WHEN r3 < 0.02 THEN 503 WHEN r3 < 0.04 THEN 500 ELSE 200 END AS response
  FROM (
    SELECT n, random() AS r1, random() AS r2, random() AS r3,
      now() - interval '90 days' * (1 - n / CAST(:rows AS double precision)) AS at
    FROM generate_series(1, CAST(:rows AS integer)) n
  ) x
) y JOIN (
  SELECT id, project_id, application_id, row_number() OVER (ORDER BY id) - 1 AS number
  FROM webhook.webhooks WHERE id = ANY (CAST(:ids AS uuid[]))
) w ON w.number = least(y.webhook, CAST(:webhooks AS integer) - 1)
ORDER BY n"""


def make(sql: pg8000.native.Connection, webhooks: list[str], rows: int) -> str:
    """`rows` deliveries of these webhooks. Returns the id of an event that one in a hundred thousand is of."""
    event = str(sql.run("SELECT uuidv7(interval '-91 days')")[0][0])
    sql.run(PARTITIONS)
    sql.run(DELIVERIES, ids=webhooks, rows=rows, webhooks=len(webhooks), event=event)
    return event
