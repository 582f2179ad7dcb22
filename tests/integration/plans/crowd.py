"""A database as after a year of use: projects of every size, partitions, filters that find much, little, nothing.

Made in seconds (crowd.sql). For tests that ask how statements fare there, and not what they answer.
"""

from dataclasses import dataclass
from pathlib import Path

import pg8000.native

from functions.domain import api_keys

STATEMENTS = Path(__file__).with_suffix(".sql").read_text().split(";\n\n")
# Of a whole day: the first and the last partition may have few, whatever they are read by.
OWN_EVENT = (
    "FROM webhook.webhook_event_ids WHERE project_id = :project"
    " AND event_id < webhook.uuidv7_floor(now() - interval '2 days') ORDER BY event_id DESC LIMIT 1"
)
# By the name that requests are written with; of project 1.
NAMES = {
    "project": "SELECT id FROM public.p WHERE n = 1",
    "webhook": "SELECT id FROM public.w WHERE n = 2 AND project_id = :project",
    "old_webhook": "SELECT id FROM public.w WHERE n = 1 AND project_id = :project",
    "rare_webhook": "SELECT id FROM public.w WHERE n = 29 AND project_id = :project",
    "bound_webhook": "SELECT id FROM public.w WHERE n = 31 AND project_id = :project",
    "application": "SELECT application_id FROM public.w WHERE n = 31 AND project_id = :project",
    "event": f"SELECT event_id {OWN_EVENT}",
    "wide_event": "SELECT id FROM public.wide_event",
    "own_event": f"SELECT external_id {OWN_EVENT}",
    "delivery": "SELECT delivery_id FROM webhook.webhook_delivery_attempts WHERE project_id = :project LIMIT 1",
    "dead_delivery": "SELECT delivery_id FROM webhook.webhook_dlq WHERE project_id = :project LIMIT 1",
    "source": "SELECT id FROM public.s WHERE n = 1 AND project_id = :project",
    "bound_source": "SELECT id FROM public.s WHERE n = 2 AND project_id = :project",
    "crawl_source": "SELECT id FROM public.s WHERE n = 3 AND project_id = :project",
    "change": "SELECT id FROM webhook.change_events WHERE project_id = :project LIMIT 1",
    "session": "SELECT id FROM webhook.crawl_sessions WHERE project_id = :project LIMIT 1",
    "crawl_job": "SELECT job_id FROM webhook.crawl_sessions WHERE project_id = :project LIMIT 1",
    "key": "SELECT id FROM webhook.api_keys WHERE project_id = :project LIMIT 1",
    "request": "SELECT request_id FROM webhook.request_metrics ORDER BY id DESC LIMIT 1",
    "job": "SELECT job_id FROM webhook.operation_metrics WHERE job_id IS NOT NULL ORDER BY id DESC LIMIT 1",
}
ADD_KEY = """
INSERT INTO webhook.api_keys (project_id, application_id, name, prefix, key_hash, scopes)
SELECT p.id, a.id, 'k', :prefix, :hash, '{*}' FROM public.p
LEFT JOIN webhook.applications a ON a.project_id = p.id AND a.uid = :uid WHERE p.n = :project
"""


@dataclass(frozen=True)
class Crowd:
    names: dict[str, str]
    key: str  # of project 1
    bound_key: str  # of its application `application`
    key_of_ended_project: str
    key_of_sudden_project: str
    rows: dict[str, int]  # by table, index and partition


def fill(sql: pg8000.native.Connection) -> Crowd:
    """Fill a migrated database; its 200,000 deliveries take about ten seconds."""
    for statement in STATEMENTS:
        sql.run(statement)
    names: dict[str, str] = {}
    for name, query in NAMES.items():
        names[name] = str(sql.run(query.replace(":project", f"'{names.get('project')}'"))[0][0])
    rows = {name: int(count) for name, count in sql.run("SELECT relname, reltuples FROM pg_class")}
    return Crowd(names, _key(sql, 1), _key(sql, 1, "app1"), _key(sql, 3), _key(sql, 40), rows)


def _key(sql: pg8000.native.Connection, project: int, uid: str = "") -> str:
    made = api_keys.new_key()
    sql.run(ADD_KEY, prefix=made.prefix, hash=made.hash, uid=uid, project=project)
    return made.key
