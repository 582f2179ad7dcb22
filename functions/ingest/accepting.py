"""Accepting events: one statement stores them with their fan-out; another finds those that were known."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, TextClause, text

from functions.domain.event_types import patterns_matching
from functions.domain.ids import parse_uuid
from functions.ingest.accept_statement import ACCEPT
from functions.ingest.publisher import Publisher
from functions.statements import named

HINTS = 10_000
Validation = Literal["off", "warn", "enforce"]


@dataclass(frozen=True)
class Kind:
    """What of an event, besides its data, decides which webhooks want it: events of a kind are matched once."""

    type: str
    application: str | None  # its id or uid as the caller named it, or the id that its key is bound to
    environment: str | None


@dataclass(frozen=True)
class Incoming:
    """One event of a request. Its data is not here: Postgres takes it from the body, byte for byte."""

    position: int
    key: str | None  # the caller's id where it is to be the key
    external_id: str | None  # the caller's id where it is not
    kind: Kind
    occurred_at: str | None
    received: Mapping[str, Any] | None = None  # what is kept of the request that a source took it from


@dataclass(frozen=True)
class Accepted:
    """`answers` by position, for the events that were new; `deliveries` that now wait for their message.

    `unresolved` are the kinds whose application is not there. The rest is the project's.
    """

    answers: dict[int, dict[str, Any]]
    deliveries: list[str]
    unresolved: set[Kind]
    validation: Validation
    catalog_version: int


# By external id or by key, within the project; a key that is another project's is simply not found, nor is another
# application's by a caller that is bound to one.
KNOWN = named(
    "events.known",
    text("""
SELECT e.id, e.external_id, e.type, e.application_id, e.environment, e.webhooks_matched, e.created_at
FROM jsonb_array_elements_text(CAST(:ids AS jsonb)) AS wanted (id)
LEFT JOIN LATERAL (
  SELECT n.event_id FROM webhook.webhook_event_ids n
  WHERE n.project_id = CAST(:project_id AS uuid) AND n.external_id = wanted.id LIMIT 1) n ON true
CROSS JOIN LATERAL (
  SELECT * FROM webhook.webhook_events e
  WHERE e.id = coalesce(n.event_id, CASE WHEN wanted.id ~ :uuid THEN CAST(wanted.id AS uuid) END)
    AND e.project_id = CAST(:project_id AS uuid)
    AND (CAST(:bound AS uuid) IS NULL OR e.application_id = CAST(:bound AS uuid)) LIMIT 1) e
"""),
)
UUID_SHAPE = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


def accept(connection: Connection, publisher: Publisher, *, body: str, incoming: Sequence[Incoming]) -> Accepted:
    """Store the events of `body` (`{"events": […]}` as it came) and one delivery for each matching webhook.

    No two of `incoming` have the same key or external id.
    """
    kinds = {kind: number for number, kind in enumerate(dict.fromkeys(event.kind for event in incoming))}
    parameters = _parameters(publisher, body, incoming, kinds)
    types = {(publisher.project_id, kind.type) for kind in kinds}
    named = any(event.external_id for event in incoming)
    bound = any(kind.application for kind in kinds)
    answer = _answer(connection, ACCEPT[not types.isdisjoint(_filtered), bound, named], parameters)
    if not answer["stored"]:
        _remember_filters(types)
        answer = _answer(connection, ACCEPT[True, bound, named], parameters)
    return _accepted(answer, incoming, list(kinds))


def known_events(connection: Connection, publisher: Publisher, ids: Sequence[str]) -> list[dict[str, Any]]:
    """What was answered when events with these ids (keys or external ids) were first accepted."""
    parameters = {
        "project_id": publisher.project_id,
        "bound": publisher.application_id or None,
        "ids": json.dumps(ids),
        "uuid": UUID_SHAPE,
    }
    return [dict(row) for row in connection.execute(KNOWN, parameters).mappings()]


def _parameters(
    publisher: Publisher, body: str, incoming: Sequence[Incoming], kinds: dict[Kind, int]
) -> dict[str, Any]:
    """Arrays for what is joined: the planner sees how long they are, and plans for that."""
    patterns = [
        (number, pattern, kind.environment)
        for kind, number in kinds.items()
        for pattern in patterns_matching(kind.type)
    ]
    parameters = {
        "project_id": publisher.project_id,
        "body": body,
        "incoming": json.dumps([_event(event, kinds[event.kind]) for event in incoming]),
        "pattern_kinds": [number for number, _, _ in patterns],
        "patterns": [pattern for _, pattern, _ in patterns],
        "environments": [environment for _, _, environment in patterns],
        "correlation_id": publisher.correlation_id,
    }
    return parameters | _applications(publisher, kinds) if any(kind.application for kind in kinds) else parameters


def _applications(publisher: Publisher, kinds: dict[Kind, int]) -> dict[str, Any]:
    """Of an application's id and its uid one is null: no uid has the shape of a UUID."""
    ids = [kind.application and parse_uuid(kind.application) for kind in kinds]
    return {
        "bound": publisher.application_id or None,
        "kinds": list(kinds.values()),
        "application_ids": [str(id) if id else None for id in ids],
        "application_uids": [None if id else kind.application for id, kind in zip(ids, kinds, strict=True)],
    }


def _event(event: Incoming, kind: int) -> dict[str, Any]:
    return {
        "position": event.position,
        "key": event.key,
        "external_id": event.external_id,
        "occurred_at": event.occurred_at,
        "kind": kind,
        "type": event.kind.type,
        "environment": event.kind.environment,
        "received": event.received,
    }


def _answer(connection: Connection, statement: TextClause, parameters: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(connection.execute(statement, parameters).scalar_one())
    return answer


# Event types that some subscription has a filter for, as far as this process has met them: only a hint.
_filtered: set[tuple[str, str]] = set()


def _remember_filters(types: set[tuple[str, str]]) -> None:
    if len(_filtered) >= HINTS:
        _filtered.clear()
    _filtered.update(types)


def _accepted(answer: dict[str, Any], incoming: Sequence[Incoming], kinds: list[Kind]) -> Accepted:
    resolved = {kinds[number]: id for number, id in answer["kinds"] or ()}
    stored = {position: (id, webhooks) for position, id, webhooks in answer["answers"] or ()}
    return Accepted(
        answers={
            event.position: {
                "id": stored[event.position][0],
                "external_id": event.external_id,
                "type": event.kind.type,
                "application_id": resolved.get(event.kind),
                "environment": event.kind.environment,
                "webhooks_matched": stored[event.position][1],
                "created_at": answer["created_at"],
            }
            for event in incoming
            if event.position in stored
        },
        deliveries=answer["deliveries"] or [],
        unresolved={kind for kind in kinds if kind.application and kind not in resolved},
        validation=answer["validation"],
        catalog_version=answer["catalog_version"],
    )
