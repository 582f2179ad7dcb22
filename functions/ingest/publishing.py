"""Publishing an event from inside: what a sender sent or a rescrape found becomes an event like any other."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Connection

from functions.ingest import ingesting
from functions.ingest.ingesting import Sent
from functions.ingest.publisher import Inside


@dataclass(frozen=True)
class Publication:
    """An event to be. The same `external_id` again is the same event, for as long as that is kept."""

    project_id: str
    type: str
    data: str  # JSON text, which is stored and delivered as it is
    correlation_id: str
    external_id: str | None = None
    application_id: str | None = None
    environment: str | None = None
    occurred_at: datetime | None = None
    received: Mapping[str, Any] | None = None  # what is kept of a sender's request; needs the external id


@dataclass(frozen=True)
class Published:
    """`new` is False where the event was known by its external id: then nothing was stored."""

    project_id: str
    event_id: str
    new: bool
    deliveries: list[str]


def publish(connection: Connection, publication: Publication) -> Published:
    """Store the event with its deliveries, in the caller's transaction; `send` follows the commit.

    Raises what POST /v1/events answers: errors.Invalid for data that does not fit its schema in a project that
    enforces them, or for an application that is not there; PayloadTooLarge for more than 256 KiB of data.
    """
    publisher = Inside(publication.project_id, publication.correlation_id)
    body = '{"events":[{"data":' + publication.data + "}]}"
    sent = Sent([_Event(publication)], body, batch=False, received=publication.received)
    ingesting.check_sizes(sent)
    stored = ingesting.ingest(connection, publisher, sent)
    return Published(publication.project_id, str(stored.answers[0]["id"]), bool(stored.new), stored.deliveries)


def send(published: Published) -> None:
    """The fast path to delivery, after the commit. What it does not send, dispatch does."""
    ingesting.send(published.project_id, published.deliveries)


class _Event:
    """A publication as accepting wants it: parsed only where a schema is to be checked, or a size."""

    def __init__(self, publication: Publication) -> None:
        self.type = publication.type
        self.id = publication.external_id
        self.application_id = publication.application_id
        self.environment = publication.environment
        self.occurred_at = publication.occurred_at
        self._text = publication.data

    @cached_property
    def data(self) -> Any:
        return json.loads(self._text)
