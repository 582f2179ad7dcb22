"""One of everything in a project, and what its rows are: for tests that must find it untouched, or not find it."""

from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pg8000.native

from tests.integration.conftest import Client, Service

FAILED = """
UPDATE webhook.webhook_deliveries
SET status = 'failed', attempts = max_attempts, failed_at = now(), scheduled_at = NULL, sweep_at = NULL
WHERE id = CAST(:delivery AS uuid)
"""
TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'webhook' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND c.relname <> 'alembic_version' ORDER BY 1
"""


OF_NO_PROJECT = {
    "archive_chunks",
    "archives",
    "heartbeats",
    "reports",
    "statistics_progress",
}  # the deployment's own
PARENTS = {  # column → the table that says whose the row is; "" when the column itself does
    "project_id": "",
    "owner_id": "",
    "webhook_id": "webhooks",
    "event_type_id": "webhook_event_types",
    "source_id": "sources",
    "session_id": "crawl_sessions",
}


@dataclass(frozen=True)
class Things:
    """Ids by the name of the path parameter, query parameter or field that takes them."""

    ids: dict[str, str]
    application: str  # that all of it is bound to, or none

    def filled(self, path: str) -> str:
        return path.format(**self.ids)


def things(service: Service, client: Client, *, uid: str = "") -> Things:
    """One of everything, made through the API where it can be; bound to a new application if it is given a uid."""
    bound: dict[str, Any] = {}
    application = made(client("POST", "/v1/applications", {"name": "acme", "uid": uid or f"uid-{uuid4()}"}))
    if uid:
        bound = {"application_id": application["id"]}
    event_type = f"walk.{uuid4().hex}"
    made(client("POST", "/v1/event-types", {"name": event_type, "schema": {"type": "object"}}))
    webhook = made(
        client(
            "POST",
            "/v1/webhooks",
            {"name": "orders", "url": "http://127.0.0.1:9/hook", "event_types": [event_type], **bound},
        )
    )
    event = made(
        client("POST", "/v1/events", {"type": event_type, "data": {"n": 1}, "id": f"mine-{uuid4()}", **bound})
    )
    [delivery] = made(client("GET", f"/v1/deliveries?webhook_id={webhook['id']}"))["data"]
    ids = {
        "application_id": application["id"],
        "delivery_id": delivery["id"],
        "event_id": event["id"],
        "name": event_type,
        "event_type": event_type,
        "subscription_id": webhook["subscriptions"][0]["id"],
        "webhook_id": webhook["id"],
    }
    ids["source_id"] = made(client("POST", "/v1/sources", {"kind": "github", "name": "repo", **bound}))["id"]
    ids["dead_letter_id"] = _dead_letter(service.sql, ids)
    ids["job_id"] = _job(service.sql, ids, bound.get("application_id"))
    ids |= _inbound(service.sql, ids, bound.get("application_id"))
    return Things(ids, bound.get("application_id", ""))


def with_keys(service: Service, project_id: str, found: Things) -> Things:
    """The things and what the admin key manages, under the names that operations have for ids of any kind, too."""
    *_, key = service.admin("GET", f"/v1/projects/{project_id}/api-keys").body["data"]
    ids = {"project_id": project_id, "key_id": key["id"], "actor_id": key["id"]}
    return Things({**found.ids, **ids, "resource_id": found.ids["webhook_id"]}, found.application)


def key_of(service: Service, scopes: list[str], **values: Any) -> Client:
    """A client with a new key of the first project."""
    body = {"name": "k", "scopes": scopes, **values}
    return Client(made(service.admin("POST", f"/v1/projects/{service.project_id}/api-keys", body))["key"])


def made(answer: Any) -> dict[str, Any]:
    assert 200 <= answer.status < 300, answer.body
    return dict(answer.body)


def rows(sql: pg8000.native.Connection, project_id: str = "") -> dict[str, Counter[str]]:
    """For each table, the digests of the project's rows; without a project, of all rows."""
    return {name: _rows(sql, name, project_id) for (name,) in sql.run(TABLES)}


def mentioning(sql: pg8000.native.Connection, *found: Things) -> dict[str, Counter[str]]:
    """For each table, the digests of the rows in which one of the things' ids stands."""
    ids = [id for one in found for name, id in one.ids.items() if name.endswith("_id")]
    statement = (
        "SELECT md5(t::text) FROM webhook.{} t WHERE EXISTS (SELECT FROM unnest(CAST(:ids AS text[])) i"
        " WHERE strpos(t::text, i) > 0)"
    )
    tables = [name for (name,) in sql.run(TABLES)]
    return {name: Counter(digest for (digest,) in sql.run(statement.format(name), ids=ids)) for name in tables}


def _rows(sql: pg8000.native.Connection, table: str, project_id: str) -> Counter[str]:
    only = f"WHERE {_whose(sql, table)}" if project_id else ""
    found = sql.run(
        f"SELECT md5(t::text) FROM webhook.{table} t {only}", **({"project": project_id} if only else {})
    )
    return Counter(digest for (digest,) in found)


def _whose(sql: pg8000.native.Connection, table: str) -> str:
    """The condition for the rows of a project. A table that says in no way whose its rows are fails."""
    columns = [
        name
        for (name,) in sql.run(
            "SELECT attname FROM pg_attribute WHERE attrelid = CAST(:t AS regclass) AND attnum > 0",
            t=f"webhook.{table}",
        )
    ]
    if table == "projects":
        return "id = CAST(:project AS uuid)"
    if table in OF_NO_PROJECT:
        return "CAST(:project AS uuid) IS NULL"
    for column, owner in PARENTS.items():
        if column in columns:
            mine = f"SELECT id FROM webhook.{owner} WHERE project_id = CAST(:project AS uuid)"
            return f"{column} IN ({mine})" if owner else f"{column} = CAST(:project AS uuid)"
    raise AssertionError(f"whose are the rows of {table}? PARENTS does not say")


def _dead_letter(sql: pg8000.native.Connection, ids: dict[str, str]) -> str:
    """As the delivery function leaves one behind: the delivery failed for good."""
    sql.run(FAILED, delivery=ids["delivery_id"])
    [[id]] = sql.run(
        "INSERT INTO webhook.webhook_dlq (delivery_id, project_id, application_id, event_id, event_type,"
        " webhook_id, reason, attempts) SELECT id, project_id, application_id, event_id, event_type, webhook_id,"
        " 'attempts_exhausted', attempts"
        " FROM webhook.webhook_deliveries WHERE id = CAST(:delivery AS uuid) RETURNING id",
        delivery=ids["delivery_id"],
    )
    return str(id)


def _job(sql: pg8000.native.Connection, ids: dict[str, str], application_id: str | None) -> str:
    [[id]] = sql.run(
        "INSERT INTO webhook.jobs (project_id, application_id, kind, parameters, total, sweep_at, correlation_id)"
        " SELECT project_id, CAST(:application AS uuid), 'retry', '{}', 1, now() + interval '1 hour', 'walk'"
        " FROM webhook.webhooks WHERE id = CAST(:webhook AS uuid) RETURNING id",
        webhook=ids["webhook_id"],
        application=application_id,
    )
    return str(id)


def _inbound(sql: pg8000.native.Connection, ids: dict[str, str], application_id: str | None) -> dict[str, str]:
    """What a source of each kind has sent: a change, and news of a crawl."""
    watch = str(uuid4())
    given = {"webhook": ids["webhook_id"], "application": application_id}
    [[source]] = sql.run(
        "INSERT INTO webhook.sources (project_id, application_id, name, kind, secret, rescrape, credentials)"
        " SELECT project_id, CAST(:application AS uuid), 'inbound', 'changedetection', 'x', '{}', 'x'"
        " FROM webhook.webhooks WHERE id = CAST(:webhook AS uuid) RETURNING id",
        **given,
    )
    [[change]] = sql.run(
        "INSERT INTO webhook.change_events (project_id, source_id, application_id, event_id, watch_id, watch_url,"
        " detected_at, rescrape_status, rescrape_error, rescrape_job_id, document_key, document_bytes)"
        " SELECT project_id, id, application_id, CAST(:event AS uuid), :watch, 'https://x/', now(), 'failed',"
        " 'no room', CAST(uuidv7() AS text), 'documents/of/a/try/before.json', 17"
        " FROM webhook.sources WHERE id = CAST(:source AS uuid) RETURNING id",
        event=ids["event_id"],
        watch=watch,
        source=source,
    )
    [[session]] = sql.run(
        "INSERT INTO webhook.crawl_sessions (project_id, source_id, application_id, job_id, kind)"
        " SELECT project_id, id, application_id, :job, 'crawl' FROM webhook.sources"
        " WHERE id = CAST(:source AS uuid) RETURNING id",
        job=ids["job_id"],
        source=source,
    )
    sql.run(
        "INSERT INTO webhook.crawl_pages (session_id, page_hash)"
        " VALUES (CAST(:id AS uuid), decode(md5('page'), 'hex'))",
        id=str(session),
    )
    return {
        "change_event_id": str(change),
        "crawl_session_id": str(session),
        "watch_id": watch,
    }
