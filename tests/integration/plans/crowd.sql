-- A database as after a year of use. Statements are separated by empty lines; see crowd.py.
-- Partitions: twenty days of events; deliveries, attempts, the audit log and metrics of twelve months before this one.
DO $$
DECLARE parent text; unit text; behind integer; options text; first timestamptz; next timestamptz;
BEGIN
  FOR parent, unit, behind, options IN VALUES
    ('webhook_events', 'day', 20, ''), ('webhook_deliveries', 'month', 12, 'WITH (fillfactor = 45)'),
    ('webhook_delivery_attempts', 'month', 12, ''), ('audit_log', 'month', 12, ''),
    ('request_metrics', 'month', 12, ''), ('operation_metrics', 'month', 12, '')
  LOOP
    FOR step IN -behind .. 3 LOOP
      first := date_add(date_trunc(unit, now(), 'UTC'), CAST(step || unit AS interval), 'UTC');
      next := date_add(first, CAST(1 || unit AS interval), 'UTC');
      EXECUTE format('CREATE TABLE webhook.%I PARTITION OF webhook.%I FOR VALUES FROM (%L) TO (%L) %s',
        parent || to_char(first AT TIME ZONE 'UTC', CASE unit WHEN 'day' THEN '_YYYY_MM_DD' ELSE '_YYYY_MM' END),
        parent, webhook.uuidv7_floor(first), webhook.uuidv7_floor(next), options);
    END LOOP;
  END LOOP;
END $$;

-- Project 1 has more than half of everything, 2 a quarter, 3 ended ten days ago, the others share the rest.
INSERT INTO webhook.projects (name, data_key) SELECT 'project ' || n, 'k' FROM generate_series(1, 40) n;

CREATE TABLE public.p AS SELECT id, CAST(substr(name, 9) AS integer) AS n FROM webhook.projects;

INSERT INTO webhook.applications (project_id, uid, name)
SELECT p.id, 'app' || k, 'App ' || k FROM public.p, generate_series(1, 200) k WHERE p.n <= 2;

INSERT INTO webhook.api_keys (project_id, name, prefix, key_hash, scopes)
SELECT id, 'k', 'none' || n || '_' || k, sha256('k'), '{*}' FROM public.p, generate_series(1, 60) k;

INSERT INTO webhook.webhooks (project_id, name, url, signing_secret, application_id)
SELECT p.id, 'webhook ' || k, 'https://x/', 's', a.id FROM public.p CROSS JOIN generate_series(1, 60) k
LEFT JOIN webhook.applications a ON a.project_id = p.id AND k > 30 AND a.uid = 'app' || (k - 30);

INSERT INTO webhook.webhook_health (webhook_id) SELECT id FROM webhook.webhooks;

INSERT INTO webhook.webhook_expiring_secrets (webhook_id, algorithm, secret, expires_at)
SELECT id, 'hmac', 's', now() + interval '1 day' * (n % 3 - 1) FROM webhook.webhooks, generate_series(1, 2) n;

INSERT INTO webhook.webhook_subscriptions (project_id, webhook_id, event_type)
SELECT project_id, id, 'type' || k FROM webhook.webhooks, generate_series(1, 4) k;

CREATE TABLE public.w AS
SELECT id, project_id, application_id, CAST(substr(name, 9) AS integer) AS n FROM webhook.webhooks;

CREATE UNIQUE INDEX ON public.w (project_id, n);

INSERT INTO webhook.sources (project_id, application_id, kind, name, secret)
SELECT project_id, application_id, CASE WHEN n % 2 = 0 THEN 'github' ELSE 'changedetection' END, 'source ' || n, 's'
FROM public.w;

INSERT INTO webhook.source_expiring_secrets (source_id, secret, expires_at)
SELECT id, 's', now() + interval '1 day' * (n % 3 - 1) FROM webhook.sources, generate_series(1, 2) n;

INSERT INTO webhook.webhook_event_types (project_id, name)
SELECT id, 'type' || k FROM public.p, generate_series(1, 300) k WHERE n <= 3;

INSERT INTO webhook.webhook_event_type_versions (event_type_id, version)
SELECT id, k FROM webhook.webhook_event_types, generate_series(1, 3) k WHERE name = 'type1';

SELECT setseed(0.5);

-- What happened when: a tenth within the last hour, a half within thirty days. Webhook 1 had half of its project's
-- until twelve days ago; legacy.import is a type of long ago, batch.once of one day.
CREATE UNLOGGED TABLE public.moments AS
SELECT i, at, p.id AS project_id, w.id AS webhook_id, w.application_id, r1, r2, r3,
  CASE WHEN at < now() - interval '100 days' AND r1 < 0.01 THEN 'legacy.import'
    WHEN at BETWEEN now() - interval '19 days' AND now() - interval '18 days' THEN 'batch.once'
    ELSE 'type' || floor(5 * r1 ^ 2) || '.part' || floor(8 * r2 ^ 2) END AS type,
  CASE WHEN r3 < 0.03 THEN 'failed'
    WHEN r3 < 0.04 AND at > now() - interval '2 days' THEN 'pending'
    WHEN r3 < 0.041 AND at > now() - interval '1 hour' THEN 'delivering' ELSE 'delivered' END AS status
FROM (
  SELECT i, random() AS r, random() AS r1, random() AS r2, random() AS r3, now() -
    CASE WHEN i > n * 0.9 THEN interval '1 hour' * (1 - i / n) * 10
      WHEN i > n * 0.5 THEN interval '1 hour' + interval '30 days' * (0.9 - i / n) * 2.5
      ELSE interval '30 days' + interval '330 days' * (0.5 - i / n) * 2 END AS at
  FROM (VALUES (200000.0)) AS x (n), generate_series(1, 200000) i
) x
JOIN public.p ON p.n = CASE
  WHEN at BETWEEN now() - interval '14 days' AND now() - interval '10 days' AND r < 0.7 THEN 3
  WHEN r < 0.6 THEN 1 WHEN r < 0.85 THEN 2 ELSE 4 + floor(37 * (r - 0.85) / 0.15) END
JOIN public.w ON w.project_id = p.id AND w.n = CASE
  WHEN r2 < 0.5 AND at < now() - interval '12 days' THEN 1 ELSE 2 + floor(58 * r3 ^ 3) END;

INSERT INTO webhook.webhook_events (id, project_id, type, data, correlation_id, created_at, application_id,
  environment)
SELECT uuidv7(at - clock_timestamp()), project_id, type, '1', 'c', at, application_id,
  CASE WHEN r1 < 0.001 THEN 'test' WHEN r1 < 0.5 THEN 'live' END
FROM public.moments WHERE at > now() - interval '20 days' AND i % 2 = 0 ORDER BY i;

INSERT INTO webhook.webhook_event_ids (project_id, external_id, event_id)
SELECT project_id, 'own-' || id, id FROM webhook.webhook_events TABLESAMPLE SYSTEM (50);

INSERT INTO webhook.webhook_deliveries (id, project_id, webhook_id, application_id, event_id, event_type, status,
  attempts, sweep_at, lease_expires_at, failed_at, delivered_at, last_response_status, last_error_code,
  last_error_message, created_at)
SELECT uuidv7(at - clock_timestamp()), project_id, webhook_id, application_id,
  uuidv7(at - interval '1 s' - clock_timestamp()), type, status, CASE status WHEN 'pending' THEN 0 ELSE 1 END,
  CASE WHEN status IN ('pending', 'delivering') THEN now() END, CASE status WHEN 'delivering' THEN now() END,
  CASE status WHEN 'failed' THEN at END, CASE status WHEN 'delivered' THEN at END,
  CASE status WHEN 'delivered' THEN 200
    WHEN 'failed' THEN CASE WHEN r1 < 0.01 THEN 404 WHEN r1 < 0.5 THEN 503 ELSE 500 END END,
  CASE status WHEN 'failed' THEN 'http_status' END, CASE status WHEN 'failed' THEN 'it failed' END, at
FROM public.moments ORDER BY i;

-- One event of three hours ago with two thousand deliveries.
CREATE TABLE public.wide_event AS SELECT uuidv7(interval '-3 hours') AS id;

INSERT INTO webhook.webhook_events (id, project_id, type, data, correlation_id, created_at)
SELECT e.id, p.id, 'wide', '1', 'c', now() - interval '3 hours' FROM public.wide_event e, public.p WHERE n = 1;

INSERT INTO webhook.webhook_deliveries (id, project_id, webhook_id, application_id, event_id, event_type, status,
  delivered_at, last_response_status, created_at)
SELECT uuidv7(interval '-3 hours'), w.project_id, w.id, w.application_id, e.id, 'wide', 'delivered', now(), 200,
  now() - interval '3 hours'
FROM public.wide_event e CROSS JOIN public.w JOIN public.p ON p.id = w.project_id CROSS JOIN generate_series(1, 35)
WHERE p.n = 1;

INSERT INTO webhook.webhook_delivery_attempts (id, project_id, delivery_id, attempt_number, request_url,
  request_headers, request_sent_at, response_status)
SELECT uuidv7(created_at - clock_timestamp()), project_id, id, 1, 'https://x/', '{}', created_at, 200
FROM webhook.webhook_deliveries WHERE attempts > 0;

INSERT INTO webhook.webhook_dlq (id, project_id, webhook_id, application_id, event_id, event_type, delivery_id,
  reason, attempts, status, resolved_at, created_at)
SELECT uuidv7(created_at - clock_timestamp()), project_id, webhook_id, application_id, event_id, event_type, id,
  'attempts_exhausted', 6, CASE WHEN r < 0.8 THEN 'resolved' ELSE 'pending' END,
  CASE WHEN r < 0.8 THEN created_at END, created_at
FROM (SELECT *, random() AS r FROM webhook.webhook_deliveries WHERE status = 'failed' ORDER BY id) d;

INSERT INTO webhook.audit_log (id, project_id, application_id, event, level, actor_type, actor_id, resource_type,
  resource_id, correlation_id, request_id, created_at)
SELECT uuidv7(at - clock_timestamp()), project_id, application_id,
  CASE WHEN r2 < 0.9 THEN 'webhook.updated' WHEN r2 < 0.901 THEN 'project.expunged' ELSE 'webhook.paused' END,
  CASE WHEN r1 < 0.001 THEN 'warning' ELSE 'info' END, 'api_key', webhook_id,
  CASE WHEN r2 BETWEEN 0.9 AND 0.901 THEN 'project' ELSE 'webhook' END, webhook_id, 'c' || i, 'r', at
FROM public.moments WHERE i % 4 = 0 ORDER BY i;

INSERT INTO webhook.request_metrics (id, timestamp, method, path, status_code, duration_ms, request_id, client_ip,
  project_id)
SELECT uuidv7(at - clock_timestamp()), at, CASE WHEN r1 < 0.8 THEN 'POST' ELSE 'GET' END,
  CASE WHEN r1 < 0.8 THEN '/v1/events' WHEN r1 < 0.801 THEN '/v1/projects' ELSE '/v1/deliveries' END,
  CASE WHEN r2 < 0.002 THEN 503 WHEN r2 < 0.01 THEN 404 ELSE 202 END, 200 * r3 ^ 4, 'r' || i, '192.0.2.1',
  CASE WHEN r3 < 0.98 THEN project_id END
FROM public.moments WHERE i % 2 = 0 ORDER BY i;

INSERT INTO webhook.operation_metrics (id, timestamp, operation_type, operation_name, duration_ms, success,
  error_message, request_id, job_id, project_id, extra_metadata)
SELECT uuidv7(at - clock_timestamp()), at,
  CASE WHEN r1 < 0.6 THEN 'query' WHEN r1 < 0.8 THEN 'ingest' WHEN r1 < 0.801 THEN 'job' ELSE 'claim' END,
  CASE WHEN r1 < 0.6 THEN 'room.query' || floor(60 * r2) WHEN r1 < 0.8 THEN 'ingest.events'
    WHEN r1 < 0.801 THEN 'jobs.batch' ELSE 'deliver.claim' END,
  200 * r3 ^ 4, r2 >= 0.002, CASE WHEN r2 < 0.002 THEN 'OperationalError' END,
  CASE WHEN r1 >= 0.6 THEN 'r' || i END, CASE WHEN r1 BETWEEN 0.8 AND 0.801 THEN 'j' || i % 10 END,
  CASE WHEN r1 BETWEEN 0.6 AND 0.801 THEN project_id END, '{"count": 7, "errors": 0, "p50_ms": 1}'
FROM public.moments WHERE i % 2 = 0 ORDER BY i;

INSERT INTO webhook.jobs (id, project_id, application_id, kind, parameters, status, total, sweep_at, finished_at,
  correlation_id, created_at)
SELECT uuidv7(at - clock_timestamp()), project_id, application_id, 'retry', '{}',
  CASE WHEN r1 < 0.001 THEN 'queued' ELSE 'completed' END, 1, CASE WHEN r1 < 0.001 THEN now() END,
  CASE WHEN r1 >= 0.001 THEN at END, 'c', at
FROM public.moments WHERE i % 20 = 0 ORDER BY i;

-- Two sources of each kind, of which one is an application's; a hundred watches, and one that rarely changes.
INSERT INTO webhook.sources (project_id, application_id, name, kind, secret)
SELECT p.id, a.id, 'sender ' || k, CASE WHEN k <= 2 THEN 'changedetection' ELSE 'firecrawl' END, 's'
FROM public.p CROSS JOIN generate_series(1, 4) k
LEFT JOIN webhook.applications a ON a.project_id = p.id AND a.uid = 'app1' AND k % 2 = 0;

CREATE TABLE public.s AS
SELECT id, project_id, application_id, CAST(substr(name, 8) AS integer) AS n FROM webhook.sources
WHERE name LIKE 'sender _';

INSERT INTO webhook.change_events (id, project_id, source_id, application_id, event_id, watch_id, watch_url,
  detected_at, created_at, rescrape_status, rescrape_error, rescrape_sweep_at)
SELECT uuidv7(at - clock_timestamp()), project_id, source_id, application_id, uuidv7(), watch, 'https://x/', at, at, status,
  CASE status WHEN 'failed' THEN 'no' END, CASE WHEN status IN ('queued', 'in_progress') THEN now() END
FROM (
  SELECT i, at, m.project_id, s.id AS source_id, s.application_id,
    CASE WHEN r1 < 0.001 THEN 'rare' ELSE 'watch' || floor(100 * r1 ^ 2) END AS watch,
    CASE WHEN r2 < 0.002 THEN 'failed' WHEN r2 < 0.5 THEN 'completed'
      WHEN at > now() - interval '5 minutes' THEN CASE WHEN r2 < 0.6 THEN 'in_progress' ELSE 'queued' END END AS status
  FROM public.moments m
  JOIN public.s ON s.project_id = m.project_id AND s.n = CASE WHEN i % 40 = 1 THEN 2 ELSE 1 END
  WHERE i % 4 = 1
) x ORDER BY i;

INSERT INTO webhook.crawl_sessions (id, project_id, source_id, application_id, job_id, kind, status, completed_at,
  created_at, last_page_at)
SELECT uuidv7(at - clock_timestamp()), m.project_id, s.id, s.application_id, 'job' || i, 'crawl',
  CASE WHEN at > now() - interval '5 minutes' THEN 'in_progress' WHEN r1 < 0.01 THEN 'failed' ELSE 'completed' END,
  CASE WHEN at <= now() - interval '5 minutes' THEN at END, at, at
FROM public.moments m
JOIN public.s ON s.project_id = m.project_id AND s.n = CASE WHEN i % 40 = 2 THEN 4 ELSE 3 END
WHERE i % 8 = 2 ORDER BY i;

INSERT INTO webhook.crawl_pages (session_id, page_hash)
SELECT id, decode(md5(CAST(n AS text)), 'hex') FROM webhook.crawl_sessions, generate_series(1, 3) n
WHERE created_at > now() - interval '35 days';

INSERT INTO webhook.delivery_statistics (subject_id, project_id, webhook_id, application_id, resolution, bucket,
  succeeded, first_attempts, time_total_ms, time_longest_ms, time_buckets, time_counts)
SELECT s.id, m.project_id, s.webhook_id, s.application_id, r.minutes,
  date_bin(r.minutes * interval '1 minute', at, '2000-01-01 00:00:00+00') AS bucket, count(*), count(*),
  40 * count(*), 40, '{26}', ARRAY[count(*)]
FROM public.moments m CROSS JOIN LATERAL (VALUES (webhook_id, webhook_id, NULL), (project_id, NULL, NULL),
  (application_id, NULL, application_id)) s (id, webhook_id, application_id)
JOIN (VALUES (5, 2), (60, 35), (1440, 400)) r (minutes, days) ON at > now() - r.days * interval '1 day'
WHERE s.id IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6;

INSERT INTO webhook.endpoint_rankings (project_id, window_hours, webhook_id, attempts, succeeded)
SELECT project_id, hours, webhook_id, sum(succeeded), sum(succeeded)
FROM webhook.delivery_statistics JOIN (VALUES (1, 5), (24, 60), (168, 1440), (720, 1440), (2160, 1440)) w (hours, of)
  ON resolution = of AND bucket > now() - hours * interval '1 hour'
WHERE webhook_id IS NOT NULL GROUP BY 1, 2, 3;

VACUUM ANALYZE;

-- What the statistics do not know of yet: project 40, one of the smallest, sends twenty thousand within five minutes.
INSERT INTO webhook.webhook_deliveries (id, project_id, webhook_id, event_id, event_type, status, attempts, sweep_at,
  failed_at, last_response_status, last_error_code, last_error_message, created_at)
SELECT uuidv7(at - clock_timestamp()), w.project_id, w.id, uuidv7(), 'sudden', CASE WHEN failed THEN 'failed'
  ELSE 'pending' END, 1, CASE WHEN NOT failed THEN now() END, CASE WHEN failed THEN at END,
  CASE WHEN failed THEN 503 END, CASE WHEN failed THEN 'http_status' END, CASE WHEN failed THEN 'it failed' END, at
FROM (SELECT n % 2 = 0 AS failed, now() - interval '5 minutes' * (1 - n / 20000.0) AS at, 1 + n % 3 AS webhook
  FROM generate_series(1, 20000) n) x
JOIN public.p ON p.n = 40 JOIN public.w ON w.project_id = p.id AND w.n = x.webhook ORDER BY at
