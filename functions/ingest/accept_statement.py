"""The statement that accepts events, put together for what a request needs: nothing else is planned.

The events, their external ids and the fan-out are one statement. Matching is done once for each kind of event in a
batch: its patterns come expanded (domain/event_types.py), so each is one index look-up among the subscriptions of
webhooks that are bound to no application, and one among those of its own; LATERAL with OFFSET or LIMIT holds the
planner to that. Several matching subscriptions of a webhook make one delivery. The keys of deliveries are made in
the order of the request, since strict webhooks get them in the order of their keys. Paused webhooks get theirs;
they wait. An event whose id is there already falls out by ON CONFLICT and its fan-out with it.
"""

from itertools import product

from sqlalchemy import TextClause, text

from functions import statements

STATEMENT = """
WITH {resolved}incoming AS MATERIALIZED (
  SELECT position, coalesce(key, uuidv7()) AS id, {application} AS application_id, environment, external_id, kind,
    type, jsonb_extract_path(CAST(:body AS jsonb), 'events', CAST(position AS text), 'data') AS data, occurred_at,
    received
  FROM jsonb_to_recordset(CAST(:incoming AS jsonb)) AS x (position integer, key uuid, environment text,
    external_id text, kind integer, type text, occurred_at timestamptz, received jsonb){of_application}
), {matched}, {named}stored AS (
  INSERT INTO webhook.webhook_events (id, project_id, application_id, environment, external_id, type, data,
    occurred_at, correlation_id, webhooks_matched)
  SELECT i.id, CAST(:project_id AS uuid), i.application_id, i.environment, i.external_id, i.type, i.data,
    i.occurred_at, :correlation_id, coalesce(m.webhooks, 0){filtered_too}
  FROM incoming i LEFT JOIN (SELECT kind, count(*) AS webhooks FROM matched GROUP BY kind) m USING (kind)
  {count_filtered}
  WHERE {may_store}{is_new}
  ORDER BY i.id
  ON CONFLICT (id) DO NOTHING
  RETURNING id, webhooks_matched
), fanned AS (
  INSERT INTO webhook.webhook_deliveries
    (project_id, application_id, webhook_id, event_id, event_type, max_attempts, scheduled_at, sweep_at)
  SELECT CAST(:project_id AS uuid), f.application_id, f.webhook_id, f.id, f.type, f.max_attempts, now(),
    now() + interval '90 s'
  FROM (
    SELECT i.position, i.id, i.type, m.* FROM stored s JOIN incoming i USING (id) JOIN matched m USING (kind)
    {fan_out_filtered}) f
  ORDER BY f.position
  RETURNING id
)
SELECT json_build_object(
  'answers', (SELECT json_agg(json_build_array(i.position, s.id, s.webhooks_matched))
    FROM stored s JOIN incoming i USING (id)),
  'created_at', webhook.rfc3339(now()), 'deliveries', (SELECT json_agg(id) FROM fanned),
  'stored', {may_store}, 'kinds', {kinds}, 'validation', p.validation, 'catalog_version', p.catalog_version
)::text FROM webhook.projects p WHERE p.id = CAST(:project_id AS uuid)
"""
SUBSCRIBED = """
  FROM unnest(CAST(:pattern_kinds AS integer[]), CAST(:patterns AS text[]), CAST(:environments AS text[]))
    AS p (kind, pattern, environment){of_application}
  CROSS JOIN LATERAL ({subscriptions} OFFSET 0) s
  CROSS JOIN LATERAL (
    SELECT w.id AS webhook_id, w.max_attempts, w.application_id FROM webhook.webhooks w
    WHERE w.id = s.webhook_id AND w.status <> 'disabled' AND w.deleted_at IS NULL AND {bound}
      AND (w.environment IS NULL OR w.environment = p.environment) LIMIT 1) w"""
# In the index's order and with a LIMIT whose value is not seen: however many the planner takes there to be, it
# walks the index. Without, it read the whole table for a project that has most of it and nothing here.
SUBSCRIPTIONS = """(
    SELECT s.webhook_id, s.filter_path FROM webhook.webhook_subscriptions s
    WHERE s.project_id = CAST(:project_id AS uuid) AND s.event_type = p.pattern AND s.enabled
      AND s.application_id {application}
    ORDER BY s.application_id, s.webhook_id LIMIT (SELECT CAST(1000000 AS bigint)))"""
# Without an application: what is bound to one does not want it.
UNBOUND = {
    "resolved": "",
    "application": "CAST(NULL AS uuid)",
    "of_application": "",
    "subscriptions": SUBSCRIPTIONS.format(application="IS NULL"),
    "bound": "w.application_id IS NULL",
    "kinds": "NULL",
}
# By its id or else by its uid, each by its own index; a key that is bound to an application names no other.
NAMED = """
    SELECT a.id FROM ({found} LIMIT 1) a
    WHERE a.project_id = CAST(:project_id AS uuid) AND a.deleted_at IS NULL
      AND (CAST(:bound AS uuid) IS NULL OR a.id = CAST(:bound AS uuid))"""
BY_ID = "SELECT * FROM webhook.applications WHERE id = k.id"
BY_UID = """SELECT * FROM webhook.applications
      WHERE project_id = CAST(:project_id AS uuid) AND deleted_at IS NULL AND uid BETWEEN k.uid AND k.uid
      ORDER BY uid"""
BOUND = {
    "resolved": f"""kinds AS MATERIALIZED (
  SELECT kind, coalesce(({NAMED.format(found=BY_ID)}), ({NAMED.format(found=BY_UID)})) AS application_id
  FROM unnest(CAST(:kinds AS integer[]), CAST(:application_ids AS uuid[]), CAST(:application_uids AS text[]))
    AS k (kind, id, uid)
), """,  # noqa: S608 - constants
    "application": "k.application_id",
    "of_application": " JOIN kinds k USING (kind)",
    "subscriptions": SUBSCRIPTIONS.format(application="IS NULL")
    + " UNION ALL "
    + SUBSCRIPTIONS.format(application="= k.application_id"),
    "bound": "(w.application_id IS NULL OR w.application_id = k.application_id)",
    "kinds": "(SELECT json_agg(json_build_array(kind, application_id)) FROM kinds"
    " WHERE application_id IS NOT NULL)",
}
# Most subscriptions have no filter, and what filters take is not even planned for them: where one turns up,
# nothing is stored and the other statement is asked.
UNFILTERED = {
    "matched": """matched AS MATERIALIZED (
  SELECT DISTINCT p.kind, w.*, s.filter_path IS NOT NULL AS filtered{subscribed}
)""",
    "may_store": "NOT EXISTS (SELECT FROM matched WHERE filtered)",
    "filtered_too": "",
    "count_filtered": "",
    "fan_out_filtered": "",
}
# A filter is asked of each event's data, but not for webhooks that get the event anyway.
FILTERED = {
    "matched": """subscribed AS MATERIALIZED (
  SELECT p.kind, w.*, s.filter_path{subscribed}
), matched AS MATERIALIZED (
  SELECT DISTINCT kind, webhook_id, max_attempts, application_id FROM subscribed WHERE filter_path IS NULL
), filtered AS MATERIALIZED (
  SELECT DISTINCT i.id AS event_id, s.webhook_id, s.max_attempts, s.application_id
  FROM subscribed s JOIN incoming i USING (kind)
  WHERE s.filter_path IS NOT NULL AND i.data @@ s.filter_path AND NOT EXISTS (
    SELECT FROM matched m WHERE m.kind = s.kind AND m.webhook_id = s.webhook_id)
)""",
    "may_store": "true",
    "filtered_too": " + coalesce(f.webhooks, 0)",
    "count_filtered": "LEFT JOIN (SELECT event_id, count(*) AS webhooks FROM filtered GROUP BY event_id) f"
    " ON f.event_id = i.id",
    "fan_out_filtered": """UNION ALL
    SELECT i.position, i.id, i.type, i.kind, f.webhook_id, f.max_attempts, f.application_id
    FROM stored s JOIN incoming i USING (id) JOIN filtered f ON f.event_id = s.id""",
}


# The callers' own ids, where an event has one.
UNNAMED = {"named": "", "is_new": ""}
NAMED_TOO = {
    "named": """named AS (
  INSERT INTO webhook.webhook_event_ids (project_id, external_id, event_id, received)
  SELECT CAST(:project_id AS uuid), external_id, id, received FROM incoming
  WHERE external_id IS NOT NULL AND {may_store} ORDER BY external_id
  ON CONFLICT DO NOTHING RETURNING event_id
), """,
    "is_new": " AND (i.external_id IS NULL OR i.id IN (SELECT event_id FROM named))",
}


def statement(filters: dict[str, str], applications: dict[str, str], names: dict[str, str]) -> TextClause:
    """The statement with these parts of it."""
    subscribed = SUBSCRIBED.format(**applications)
    matched = filters["matched"].format(subscribed=subscribed)
    named = names["named"].format(may_store=filters["may_store"])
    return text(STATEMENT.format(**{**filters, **applications, **names, "matched": matched, "named": named}))


# By whether a subscription has a filter, an event an application, an event an id of its own.
ACCEPT = {
    (filtered, bound, named): statements.named(
        f"events.accept{'_filtered' * filtered}{'_bound' * bound}{'_named' * named}",
        statement(
            FILTERED if filtered else UNFILTERED, BOUND if bound else UNBOUND, NAMED_TOO if named else UNNAMED
        ),
    )
    for filtered, bound, named in product((False, True), repeat=3)
}
