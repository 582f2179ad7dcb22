"""Accepting events: checked, stored with their fan-out in one transaction, and after it sent to the queue."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy import Connection

from functions.adapters import outbox
from functions.adapters.outbox import Follow
from functions.domain import payload
from functions.domain.ids import parse_uuid, usable_as_key
from functions.errors import ApiError, Conflict, Detail, Invalid, NotFound, PayloadTooLarge, Unauthorized
from functions.ingest import accepting
from functions.ingest.accepting import Accepted, Incoming, Kind
from functions.ingest.publisher import Publisher
from functions.settings import settings

MAX_PATH = 255  # characters of a path in details: names in the data may be long
FIRST_TOKEN = 1  # of a delivery, by the column's default
MISSING = "there is no such application"
DOES_NOT_FIT = "data does not fit the schema of its event type; `details` say where"


class Event(Protocol):
    """What a caller of the API sends, or what is published from inside."""

    @property
    def type(self) -> str: ...

    @property
    def data(self) -> Any: ...

    @property
    def id(self) -> str | None: ...

    @property
    def application_id(self) -> str | None: ...

    @property
    def environment(self) -> str | None: ...

    @property
    def occurred_at(self) -> datetime | None: ...


@dataclass(frozen=True)
class Sent:
    """The events of a request and its body, `{"events": […]}` as it came. Paths in details begin with an event's
    place in a batch. `received` is what is kept of the request that a source took them from.
    """

    events: Sequence[Event]
    body: str
    batch: bool
    received: Mapping[str, Any] | None = None

    def path(self, position: int, *rest: str | int) -> str:
        parts = ["events", position, *rest] if self.batch else rest
        return ".".join(str(part) for part in parts)


@dataclass(frozen=True)
class Ingested:
    """`answers` in the order of the events; `new` counts those that were not known by their id.

    `warnings` say where data does not fit its schema, in a project that only wants to be told.
    """

    answers: list[dict[str, Any]]
    new: int
    deliveries: list[str]
    warnings: list[Detail]


def check_sizes(sent: Sent) -> None:
    """Raises PayloadTooLarge naming the event. A body within the limit of one event needs no measuring."""
    body = sent.body
    if len(body) * 4 <= payload.MAX_DATA_BYTES or len(body.encode()) <= payload.MAX_DATA_BYTES:
        return
    for position, event in enumerate(sent.events):
        size = payload.size(event.data)
        if size > payload.MAX_DATA_BYTES:
            what = Detail(sent.path(position, "data"), f"is {size} bytes")
            raise PayloadTooLarge(f"an event's data has at most {payload.MAX_DATA_BYTES} bytes", details=(what,))


def ingest(connection: Connection, publisher: Publisher, sent: Sent) -> Ingested:
    """Store the events that are not known by their id, all or none.

    Raises Conflict for an id that is somebody else's, Invalid for an application that is not there and for data
    that does not fit its schema; NotFound or Unauthorized where the caller's key is bound to an application and
    another is named, or that one is gone. What is known is answered as it was, whatever has changed since.
    """
    now = datetime.now(UTC)
    incoming = [_incoming(position, sent, publisher, now) for position in range(len(sent.events))]
    firsts: dict[str | int, Incoming] = {}
    for one in incoming:
        firsts.setdefault(one.key or one.external_id or one.position, one)
    accepted = accepting.accept(connection, publisher, body=sent.body, incoming=list(firsts.values()))
    new = [incoming[position] for position in sorted(accepted.answers)]
    if accepted.unresolved:
        _check_applications(sent, publisher, [one for one in new if one.kind in accepted.unresolved])
    warnings = [] if accepted.validation == "off" else _check_schemas(connection, publisher, sent, accepted, new)
    answers = dict(accepted.answers)
    if len(answers) < len(incoming):
        answers |= _known(connection, publisher, sent, [one for one in incoming if one.position not in answers])
    ordered = [answers[position] for position in range(len(incoming))]
    return Ingested(ordered, len(accepted.answers), accepted.deliveries, warnings)


def send(project_id: str, deliveries: Sequence[str]) -> None:
    """The fast path to delivery. What it does not send, dispatch does: the rows are committed."""
    outbox.send(settings().delivery_queue_url, (Follow(id, FIRST_TOKEN, project_id) for id in deliveries))


def _incoming(position: int, sent: Sent, publisher: Publisher, now: datetime) -> Incoming:
    """A caller's id becomes the key if it is a UUIDv7 of about now, else it is kept beside it."""
    event = sent.events[position]
    id = event.id and (str(parse_uuid(event.id)) if parse_uuid(event.id) else event.id)
    as_key = bool(id) and usable_as_key(id or "", now)
    return Incoming(
        position=position,
        key=id if as_key else None,
        external_id=None if as_key else id,
        kind=Kind(event.type, event.application_id or publisher.application_id or None, event.environment),
        occurred_at=event.occurred_at.isoformat() if event.occurred_at else None,
        received=sent.received,
    )


def _check_applications(sent: Sent, publisher: Publisher, unresolved: Iterable[Incoming]) -> None:
    named = [one.position for one in unresolved]
    if not named:
        return
    if not publisher.application_id:
        details = tuple(Detail(sent.path(position, "application_id"), MISSING) for position in named)
        raise Invalid(MISSING, details=details)
    raise _not_the_callers(sent.events[named[0]])


def _not_the_callers(event: Event) -> ApiError:
    """Why an event of a bound key has no application: another one is named, or the key's own is gone."""
    if event.application_id:
        return NotFound(MISSING)
    return Unauthorized("the API key is revoked: its application was deleted")


def _check_schemas(
    connection: Connection, publisher: Publisher, sent: Sent, accepted: Accepted, new: Iterable[Incoming]
) -> list[Detail]:
    """What does not fit, where the project wants to be warned of it; else raises Invalid."""
    from functions.ingest import catalog  # noqa: PLC0415 - for projects that validate

    data = [(one.position, one.kind.type, sent.events[one.position].data) for one in new]
    found = catalog.failures(connection, publisher.project_id, accepted.catalog_version, data, len(sent.body))
    details = [Detail(_bounded(sent.path(position, "data", *f.path)), f.message) for position, f in found]
    if details and accepted.validation == "enforce":
        raise Invalid(DOES_NOT_FIT, details=tuple(details))
    return details


def _bounded(path: str) -> str:
    return path if len(path) <= MAX_PATH else path[: MAX_PATH - 1] + "…"


def _known(
    connection: Connection, publisher: Publisher, sent: Sent, again: Iterable[Incoming]
) -> dict[int, dict[str, Any]]:
    """What was answered for events whose id is known; an id that is not within reach is a conflict."""
    wanted = {one.position: str(one.key or one.external_id) for one in again}
    known = accepting.known_events(connection, publisher, list(set(wanted.values())))
    by_id = {name: row for row in known for name in (str(row["id"]), row["external_id"]) if name}
    for position, id in wanted.items():
        if id not in by_id:
            taken = Detail(sent.path(position, "id"), "is taken")
            raise Conflict("this event id cannot be used", details=(taken,))
    return {position: by_id[id] for position, id in wanted.items()}
