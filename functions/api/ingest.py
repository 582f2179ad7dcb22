"""Accepting events: checked, stored with their fan-out in one transaction, and after it sent to the queue."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from functions.adapters import queues
from functions.adapters.queues import Message
from functions.api.queries import events as queries
from functions.api.queries.events import Incoming
from functions.api.schemas.events import EventIn
from functions.domain import messages, payload
from functions.domain.event_types import patterns_matching
from functions.domain.ids import parse_uuid, usable_as_key
from functions.errors import Conflict, Detail, PayloadTooLarge
from functions.settings import settings

FIRST_TOKEN = 1  # of a delivery, by the column's default


@dataclass(frozen=True)
class Ingested:
    """`answers` in the order of the events; `new` counts those that were not known by their id."""

    answers: list[dict[str, Any]]
    new: int
    deliveries: list[str]


def check_sizes(events: Sequence[EventIn], body: str) -> None:
    """Raises PayloadTooLarge naming the event. A body within the limit of one event needs no measuring."""
    if len(body) * 4 <= payload.MAX_DATA_BYTES or len(body.encode()) <= payload.MAX_DATA_BYTES:
        return
    for position, event in enumerate(events):
        size = payload.size(event.data)
        if size > payload.MAX_DATA_BYTES:
            what = Detail(f"events.{position}.data" if len(events) > 1 else "data", f"is {size} bytes")
            raise PayloadTooLarge(f"an event's data has at most {payload.MAX_DATA_BYTES} bytes", details=(what,))


def ingest(
    connection: Connection, project_id: str, events: Sequence[EventIn], body: str, correlation_id: str
) -> Ingested:
    """Store the events of `body`, which is `{"events": […]}` as it came. Raises Conflict."""
    now = datetime.now(UTC)
    incoming = [_incoming(position, event, now) for position, event in enumerate(events)]
    accepted = queries.accept(connection, project_id, body=body, incoming=incoming, correlation_id=correlation_id)
    answers = dict(accepted.answers)
    if len(answers) < len(incoming):
        answers |= _known(connection, project_id, [one for one in incoming if one.position not in answers])
    ordered = [answers[position] for position in range(len(incoming))]
    return Ingested(ordered, len(accepted.answers), accepted.deliveries)


def send(project_id: str, deliveries: Sequence[str]) -> None:
    """The fast path to delivery. What it does not send, dispatch does: the rows are committed."""
    bodies = messages.pack([(id, FIRST_TOKEN) for id in deliveries])
    queues.send(settings().delivery_queue_url, (Message(body, project_id) for body in bodies))


def _incoming(position: int, event: EventIn, now: datetime) -> Incoming:
    """A caller's id becomes the key if it is a UUIDv7 of about now, else it is kept beside it."""
    id = event.id and (str(parse_uuid(event.id)) if parse_uuid(event.id) else event.id)
    as_key = bool(id) and usable_as_key(id or "", now)
    return Incoming(
        position=position,
        key=id if as_key else None,
        external_id=None if as_key else id,
        type=event.type,
        patterns=patterns_matching(event.type),
        occurred_at=event.occurred_at.isoformat() if event.occurred_at else None,
    )


def _known(connection: Connection, project_id: str, again: Iterable[Incoming]) -> dict[int, dict[str, Any]]:
    """What was answered for events whose id is known; an id that another project uses is a conflict."""
    wanted = {one.position: str(one.key or one.external_id) for one in again}
    known = queries.known_events(connection, project_id, list(set(wanted.values())))
    by_id = {name: row for row in known for name in (str(row["id"]), row["external_id"]) if name}
    for position, id in wanted.items():
        if id not in by_id:
            raise Conflict("this event id cannot be used", details=(Detail(f"events.{position}.id", "is taken"),))
    return {position: by_id[id] for position, id in wanted.items()}
