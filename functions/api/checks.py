"""The checks of `/v1/health` (E2). Each says how one part is doing; what it raises is for examination.py."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection
from sqlalchemy.pool import QueuePool

from functions.adapters import queues as sqs
from functions.adapters.database import engine
from functions.api.queries import health as queries
from functions.domain.figures import kept, revision
from functions.domain.figures.heartbeats import DISPATCH
from functions.domain.figures.waiting import since
from functions.settings import settings

Status = Literal["healthy", "degraded", "unhealthy"]
HEALTHY: Status = "healthy"
DEGRADED: Status = "degraded"
UNHEALTHY: Status = "unhealthy"
COUNTS = {
    "ApproximateNumberOfMessages": "waiting",
    "ApproximateNumberOfMessagesNotVisible": "under_way",
    "ApproximateNumberOfMessagesDelayed": "delayed",
}


@dataclass(frozen=True)
class Finding:
    """`message` says in words what `figures` show."""

    status: Status
    message: str
    figures: dict[str, Any]


def database(connection: Connection) -> Finding:
    return Finding(HEALTHY, "it answers", {"version": queries.server_version(connection)})


def schema(connection: Connection) -> Finding:
    found, expected = queries.revision(connection), revision.expected()
    figures = {"revision": found, "expected": expected}
    if found == expected:
        return Finding(HEALTHY, f"it is at {found}, as this release expects", figures)
    if found is not None and found > expected:
        return Finding(DEGRADED, f"it is at {found}, ahead of this release, which expects {expected}", figures)
    return Finding(UNHEALTHY, f"it is at {found}, this release needs {expected}: migrate has not run", figures)


def pool(connection: Connection) -> Finding:
    """This process's own connection, and what of the server's all processes together have taken."""
    server, own, limits = queries.connections(connection), engine().pool, settings().thresholds
    percent = 100 * server["connections"] // server["max_connections"]
    figures: dict[str, Any] = {**server, "percent": percent}
    if isinstance(own, QueuePool):
        figures |= {"pool_size": own.size(), "pool_checked_out": own.checkedout()}
    status = _graded(percent, limits.connections_warning_percent, limits.connections_critical_percent)
    said = f"{server['connections']} of the server's {server['max_connections']} connections are taken"
    return Finding(status, said, figures)


def partitions(connection: Connection) -> Finding:
    """Never unhealthy: rows without a partition go to the default one, and nothing is lost."""
    days = queries.days_ahead(connection, datetime.now(UTC), settings().retention)
    table, least = min(days.items(), key=lambda one: one[1])
    status = DEGRADED if least < settings().thresholds.partition_warning_days else HEALTHY
    return Finding(status, f"{table} reaches {least:.1f} days ahead, the others further", {"days_ahead": days})


def dispatcher(connection: Connection) -> Finding:
    runs = {one["name"]: one for one in queries.runs(connection, datetime.now(UTC))}
    age = runs.get(DISPATCH, {}).get("age_seconds")
    if age is None:
        return Finding(DEGRADED, "dispatch has never run", {"age_seconds": None})
    limits = settings().thresholds
    status = _graded(age, limits.heartbeat_warning_seconds, limits.heartbeat_critical_seconds)
    return Finding(status, f"dispatch last ran {age} seconds ago", {"age_seconds": age})


def maintenance(connection: Connection) -> Finding:
    runs = queries.runs(connection, datetime.now(UTC))
    failing = {one["name"]: one["error"] for one in runs if one["failing"]}
    figures = {"age_seconds": {one["name"]: one["age_seconds"] for one in runs}, "errors": failing}
    if failing:
        return Finding(DEGRADED, f"failed when they last ran: {', '.join(failing)}", figures)
    return Finding(HEALTHY, "no run has failed since its last success", figures)


def deliveries(connection: Connection) -> Finding:
    """SQS tells the age of its oldest message to CloudWatch alone; the row that the message is for is as old."""
    late, limits = queries.overdue_seconds(connection), settings().thresholds
    status = _graded(late, limits.overdue_warning_seconds, limits.overdue_critical_seconds)
    return Finding(status, f"the most overdue delivery is {late} seconds late", {"overdue_seconds": late})


def report(connection: Connection) -> Finding:
    """What gauges found when it last ran."""
    found = kept.newest(connection)
    if found is None:
        return Finding(DEGRADED, "there is none yet: gauges has not run", {"age_seconds": None, "problems": None})
    made_at, newest = found
    age, problems = since(made_at, datetime.now(UTC)), newest["problems"]
    figures = {"age_seconds": age, "problems": len(problems)}
    if age >= settings().thresholds.report_seconds:
        return Finding(DEGRADED, f"the newest is {age} seconds old: gauges fails or does not run", figures)
    status = DEGRADED if problems else HEALTHY
    return Finding(status, f"{len(problems)} problems; GET /v1/admin/database tells them", figures)


def queues() -> Finding:
    """Dead messages of the retry queue are dead letters, which customers' endpoints make; all others are ours."""
    known = settings()
    found: dict[str, dict[str, int]] = {}
    urls = {
        "delivery": known.delivery_queue_url,
        "retry": known.retry_queue_url,
        "jobs": known.jobs_queue_url,
        "rescrape": known.rescrape_queue_url,
    }
    for name, url in urls.items():
        told = sqs.attributes(url)
        found[name] = _counts(told)
        if "RedrivePolicy" in told:
            arn = json.loads(told["RedrivePolicy"])["deadLetterTargetArn"]
            dead = f"{url.rpartition('/')[0]}/{arn.rpartition(':')[2]}"
            found[f"{name}_dlq"] = _counts(sqs.attributes(dead))
    ours = [name for name in ("delivery_dlq", "jobs_dlq", "rescrape_dlq") if found.get(name, {}).get("waiting")]
    if ours:
        return Finding(DEGRADED, f"messages that could not be dealt with are in {', '.join(ours)}", found)
    waiting = sum(found[name]["waiting"] for name in urls)
    return Finding(HEALTHY, f"{waiting} messages wait", found)


def _counts(told: dict[str, str]) -> dict[str, int]:
    return {ours: int(told.get(theirs, 0)) for theirs, ours in COUNTS.items()}


def _graded(value: float, warning: float, critical: float) -> Status:
    return UNHEALTHY if value >= critical else DEGRADED if value >= warning else HEALTHY
