"""Giving back what waited for a webhook: some hundred deliveries at once, the rest by a background job."""

from dataclasses import dataclass

from sqlalchemy import Connection

from functions.adapters import outbox
from functions.adapters.outbox import Follow
from functions.api import background
from functions.api.caller import Caller
from functions.api.queries import jobs
from functions.domain import holding, ordering
from functions.domain.jobs import BATCH
from functions.settings import settings


@dataclass(frozen=True)
class Released:
    """Deliveries to send after the commit, with their tokens, and the job that goes on with the others."""

    due: list[tuple[str, int]]
    job_id: str | None = None


def release(connection: Connection, caller: Caller, webhook_id: str, application_id: str | None) -> Released:
    """Of a webhook that this transaction has just made active, or deleted."""
    due = holding.give_back(connection, caller.project_id, webhook_id)
    left = holding.count(connection, caller.project_id, webhook_id) if len(due) == BATCH else 0
    if not left:
        return Released(due)
    id, _ = jobs.add(
        connection,
        caller,
        "release",
        {"webhook_id": webhook_id},
        total=left,
        application_id=application_id,
    )
    return Released(due, id)


def wake(connection: Connection, webhook_id: str) -> Released:
    """Of a strict webhook only the head of its line: the others follow it, one after another."""
    return Released([(id, token) for id, token, *_ in ordering.wake(connection, [webhook_id])])


def send(project_id: str, released: Released) -> None:
    """The fast path, after the commit. What it does not send, dispatch does."""
    due(project_id, released.due)
    background.send(project_id, [released.job_id] if released.job_id else [])


def due(project_id: str, deliveries: list[tuple[str, int]]) -> None:
    """Send deliveries (with tokens) that are due again, by the slow lane: new events do not wait for them."""
    outbox.send(settings().retry_queue_url, (Follow(id, token, project_id) for id, token in deliveries))
