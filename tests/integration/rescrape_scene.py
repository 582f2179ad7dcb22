"""A source whose changes are scraped again, by a stand-in for Firecrawl, into a bucket of moto's."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from functions.adapters import guarded, outbox, vault
from functions.adapters.database import transaction
from functions.domain import egress, rescraping
from functions.domain.ids import uuid7
from functions.domain.rescraping import Started
from functions.rescrape import handler as rescrape
from functions.rescrape import work
from functions.settings import settings
from tests.conftest import REGION
from tests.integration.conftest import Context, Service
from tests.integration.firecrawl import KEY, Firecrawl, firecrawl

BUCKET = "documents"
WATCH_URL = "https://shop.example/prices"
LAMBDA = Context(remaining_ms=180_000)
SOURCE = """
INSERT INTO webhook.sources (id, project_id, application_id, name, kind, secret, rescrape, credentials)
VALUES (:id, :project_id, :application_id, 'watches', 'changedetection', '\\x00', CAST(:rescrape AS jsonb),
  :credentials)
"""
CHANGE = """
INSERT INTO webhook.change_events (id, project_id, source_id, application_id, event_id, watch_id, watch_url,
  detected_at)
SELECT :id, project_id, id, application_id, uuidv7(), :watch_id, :url, now() FROM webhook.sources
WHERE id = :source_id
"""
ROW = "SELECT to_jsonb(c) FROM webhook.change_events c WHERE id = :id"
LAPSE = "UPDATE webhook.change_events SET rescrape_sweep_at = now() - interval '1 s' WHERE id = :id"


@dataclass
class Scene:
    service: Service
    firecrawl: Firecrawl
    s3: Any

    def source(self, *, key: str | None = KEY, policy: bool = True, **values: Any) -> str:
        """A source with a policy of these values and this key to Firecrawl."""
        id, project_id = uuid7(), self.service.project_id
        application_id = values.pop("application_id", None)
        rescrape = json.dumps({"enabled": True, "api_url": self.firecrawl.url, **values}) if policy else None
        self.service.sql.run(
            SOURCE,
            id=id,
            project_id=project_id,
            application_id=application_id,
            rescrape=rescrape,
            credentials=self.credentials(id, key) if key else None,
        )
        return id

    def credentials(self, source_id: str, key: str) -> bytes:
        project_id = self.service.project_id
        ((data_key,),) = self.service.sql.run(
            "SELECT data_key FROM webhook.projects WHERE id = :id", id=project_id
        )
        bound_to = vault.source_credentials_of(project_id, source_id)
        secret = json.dumps({"api_key": key}).encode()
        return vault.encrypt(vault.cipher(bytes(data_key), project_id), bound_to, secret)

    def change(self, source_id: str, url: str = WATCH_URL) -> str:
        id = uuid7()
        self.service.sql.run(CHANGE, id=id, source_id=source_id, watch_id=f"watch-{id}", url=url)
        return id

    def started(self, source_id: str | None = None, **values: Any) -> Started:
        """A change event whose rescrape is queued, with its message."""
        start = start_of(self.change(source_id or self.source(**values)))
        assert start is not None
        outbox.send_rescrapes(settings().rescrape_queue_url, [start])
        return start

    def row(self, id: str) -> dict[str, Any]:
        ((found,),) = self.service.sql.run(ROW, id=id)
        return dict(found)

    def events(self) -> list[dict[str, Any]]:
        """What was told of documents, the oldest first."""
        found = self.service.client("GET", "/v1/events?type=document.rescraped").body["data"]
        return [self.service.client("GET", f"/v1/events/{one['id']}").body for one in reversed(found)]

    def messages(self) -> list[dict[str, Any]]:
        return self.service.messages("rescrape")

    def run(self) -> int:
        """Let the function have what is on its queue; how many messages that were."""
        records = self.messages()
        for record in records:
            assert rescrape.handler({"Records": [record]}, LAMBDA) == {"batchItemFailures": []}
        return len(records)

    def document(self, key: str) -> dict[str, Any]:
        return dict(json.loads(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()))

    def lapse(self, id: str) -> None:
        """As if the time that dispatch waits for were over."""
        self.service.sql.run(LAPSE, id=id)


def start_of(change_event_id: str) -> Started | None:
    with transaction() as connection:
        return rescraping.start(connection, change_event_id)


def record(id: str, token: int) -> dict[str, Any]:
    """A message as SQS hands it to the function."""
    body = json.dumps({"v": 1, "rescrape": id, "token": token})
    url = settings().rescrape_queue_url
    return {
        "messageId": uuid7(),
        "receiptHandle": "none",
        "body": body,
        "attributes": {},
        "eventSourceARN": f"arn:aws:sqs:{REGION}:000000000000:{url.rpartition('/')[2]}",
    }


@pytest.fixture
def scene(service: Service) -> Iterator[Scene]:
    s3 = boto3.client("s3", region_name=REGION)
    for cached in (settings, work._bucket, guarded._transport):
        cached.cache_clear()
    with firecrawl() as here:
        yield Scene(service, here, s3)
    work._bucket.cache_clear()


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Other settings, from now on: RESCRAPE_BUDGET_SECONDS and such."""

    def change(**variables: int | str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        settings.cache_clear()
        egress.is_allowed.cache_clear()

    yield change
    egress.is_allowed.cache_clear()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses between tries take no time; how long each would have been."""
    pauses: list[float] = []
    monkeypatch.setattr("functions.rescrape.scrape.time.sleep", pauses.append)
    return pauses
