"""A project and its webhooks at a receiver that verifies every signature with the package `standardwebhooks`."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pg8000.native
import requests
from sqlalchemy import make_url

from tests.e2e.service import ROOT, Service

UNFINISHED = "event_type = :type AND status NOT IN ('delivered', 'failed')"


@dataclass
class Scene:
    """Three webhooks on one event type of their own, in a project of their own."""

    service: Service
    api_key: str
    receiver: str
    event_type: str
    webhooks: dict[str, str]  # name at the receiver → webhook id

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """One API call with the key of this scene's project."""
        return self.service.request(method, path, headers=_bearer(self.api_key), **options)

    def batch(self, numbers: range) -> list[dict[str, Any]]:
        """Events with ids of their own, so that sending them again is safe."""
        return [
            {"type": self.event_type, "id": f"{self.event_type}/{number}", "data": {"number": number}}
            for number in numbers
        ]

    def send(self, events: list[dict[str, Any]], seconds: float = 120) -> list[str]:
        """The events' keys. Sends until it is answered, as a careful caller does."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                answer = self.request("POST", "/v1/events/batch", json={"events": events})
            except requests.RequestException as error:
                problem = str(error)
            else:
                if answer.status_code == 202:
                    return [event["id"] for event in answer.json()["data"]]
                assert answer.status_code >= 500, answer.text
                problem = answer.text
            assert time.monotonic() < deadline, problem
            time.sleep(0.2)

    def accepted(self) -> dict[str, dict[str, int]]:
        """For each webhook: event id → how often the receiver took it with a valid signature."""
        found = {}
        for name in self.webhooks:
            rows = requests.get(f"{self.receiver}/control/receipts/{name}", timeout=30).json()
            found[name] = {event_id: taken for event_id, _, _, taken, _ in rows if taken}
        return found

    def bad_signatures(self) -> int:
        stats = requests.get(f"{self.receiver}/control/stats", timeout=30).json()
        return sum(stats["endpoints"][name]["bad_signatures"] for name in self.webhooks)

    def change(self, name: str, **behaviour: Any) -> None:
        answer = requests.patch(f"{self.receiver}/control/endpoints/{name}", json=behaviour, timeout=30)
        answer.raise_for_status()

    def rows(self, statement: str, **parameters: Any) -> list[Any]:
        """A look into the database; `:type` is this scene's event type."""
        url = make_url(self.service["database_url"])
        with pg8000.native.Connection(
            str(url.username), host="127.0.0.1", port=url.port, password=url.password, database=url.database
        ) as connection:
            return list(connection.run(statement, type=self.event_type, **parameters) or [])

    def unfinished(self) -> int:
        """A database that is away counts as one: there is no telling."""
        try:
            ((count,),) = self.rows(f"SELECT count(*) FROM webhook.webhook_deliveries WHERE {UNFINISHED}")
        except (pg8000.native.InterfaceError, pg8000.native.DatabaseError, OSError):
            return 1
        return int(count)

    def finish(self, seconds: float = 60) -> None:
        """Wait until nothing is under way any more. Fails with what still is, and why."""
        try:
            self.service.wait_until(lambda: self.unfinished() == 0, seconds)
        except AssertionError as error:
            held_up = self.rows(
                "SELECT count(*), webhook_id, status, attempts, last_error_code, min(sweep_at) - now()"
                f" FROM webhook.webhook_deliveries WHERE {UNFINISHED} GROUP BY 2, 3, 4, 5"
            )
            error.add_note(f"unfinished: {held_up}")
            raise


@contextmanager
def scene(service: Service, **webhook: Any) -> Iterator[Scene]:
    command = [sys.executable, "-m", "local.receiver", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            receiver = f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
            yield _made(service, receiver, webhook)
        finally:
            process.terminate()


def _made(service: Service, receiver: str, webhook: dict[str, Any]) -> Scene:
    here = Scene(service, _project_key(service), receiver, f"scene.{uuid4().hex}", {})
    for number in range(3):
        name = f"{here.event_type}-{number}"
        body = {"name": name, "url": f"{receiver}/hooks/{name}", "event_types": [here.event_type], **webhook}
        here.webhooks[name] = _created(here.request("POST", "/v1/webhooks", json=body))["id"]
        secret = here.request("GET", f"/v1/webhooks/{here.webhooks[name]}/secret").json()["secret"]
        requests.put(
            f"{receiver}/control/endpoints/{name}", json={"secret": secret}, timeout=30
        ).raise_for_status()
    return here


def _project_key(service: Service) -> str:
    """An API key of a new project. Webhooks that other tests leave behind, whatever events they take and however
    dead their endpoints are, get nothing that is sent with it.
    """
    admin = _bearer(service["admin_key"])
    project = _created(service.request("POST", "/v1/projects", json={"name": "scene"}, headers=admin))
    keys, wanted = f"/v1/projects/{project['id']}/api-keys", {"name": "scene", "scopes": ["*"]}
    return str(_created(service.request("POST", keys, json=wanted, headers=admin))["key"])


def _created(answer: requests.Response) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
