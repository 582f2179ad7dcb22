"""A source, and what is sent to it: verified, read, stored and recorded as the receive function does it."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from functions.adapters import outbox
from functions.adapters.database import transaction
from functions.domain.senders.base import Message, Received, Sender, Source
from functions.ingest.publishing import Publication, Published, publish
from functions.settings import settings
from tests.integration.conftest import Service

PAYLOADS = Path(__file__).parent / "payloads"
SECRET = b"a-secret-of-the-source"
TOKEN = {"x-hookline-token": SECRET.decode()}


def make_source(service: Service, kind: str, **values: Any) -> Source:
    """As POST /v1/sources leaves it."""
    [[id]] = service.sql.run(
        "INSERT INTO webhook.sources (project_id, application_id, name, kind, secret, rescrape)"
        " VALUES (CAST(:project AS uuid), CAST(:application AS uuid), 's', :kind, 'x', CAST(:rescrape AS jsonb))"
        " RETURNING id",
        project=service.project_id,
        application=values.get("application_id"),
        kind=kind,
        rescrape=json.dumps(values["rescrape"]) if "rescrape" in values else None,
    )
    plain = Source(
        id=str(id),
        project_id=service.project_id,
        application_id=None,
        environment=None,
        kind=kind,  # type: ignore[arg-type]
        verification={},
        event_types={},
        replay_window_seconds=300,
        rescrape=None,
    )
    return replace(plain, **values)


def signed(body: bytes) -> dict[str, str]:
    """The headers of a message of Firecrawl's (https://docs.firecrawl.dev/webhooks/security)."""
    return {"x-firecrawl-signature": f"sha256={hmac.new(SECRET, body, hashlib.sha256).hexdigest()}"}


def payload(name: str) -> dict[str, Any]:
    """A published message: `crawl.page`."""
    return dict(json.loads((PAYLOADS / "firecrawl" / f"{name}.json").read_text()))


def read(sender: Sender, source: Source, body: bytes, headers: Mapping[str, str], at: datetime) -> Message:
    received = Received(headers=headers, body=body, at=at)
    sender.verify(received, [b"another", SECRET], source)
    return sender.read(received, source)


def post(
    sender: Sender, source: Source, body: bytes, headers: Mapping[str, str], at: datetime | None = None
) -> Published:
    """What the receive function does with a request, but for sending the deliveries."""
    message = read(sender, source, body, headers, at or datetime.now(UTC))
    with transaction() as connection:
        published = publish(
            connection,
            Publication(
                project_id=source.project_id,
                type=message.type,
                data=message.data,
                correlation_id="inbound",
                external_id=f"{source.id}/{message.id}"[:255],
                application_id=source.application_id,
            ),
        )
        start = sender.record(connection, source, message, published.event_id)
    outbox.send_rescrapes(settings().rescrape_queue_url, [start])
    return published
