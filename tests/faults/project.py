"""The run's project: made through the API, and worked through it while everything may be down."""

import time
from collections.abc import Mapping
from typing import Any

import requests

from tests.e2e.service import Service
from tests.faults.endpoints import EndpointsProcess
from tests.faults.traffic import WISHES

PATIENCE_SECONDS = 120


class Project:
    """`webhooks` is name → id."""

    def __init__(self, service: Service) -> None:
        self._service = service
        admin = service["admin_key"]
        self.id: str = self._made("/v1/projects", {"name": "faults"}, admin)["id"]
        key = self._made(f"/v1/projects/{self.id}/api-keys", {"name": "faults", "scopes": ["*"]}, admin)
        self.key: str = key["key"]
        self.webhooks: dict[str, str] = {}

    def subscribe(self, endpoints: EndpointsProcess) -> None:
        """Make the webhooks of the run and tell each endpoint its secret."""
        for wish in WISHES:
            made = self._made("/v1/webhooks", {**wish.body, "url": endpoints.url(wish.name)}, self.key)
            self.webhooks[wish.name] = made["id"]
            secret = self.call("GET", f"/v1/webhooks/{made['id']}/secret")["secret"]
            endpoints.set(wish.name, secret=secret)

    def call(self, method: str, path: str, body: Any = None, *, conflict: bool = False) -> dict[str, Any]:
        """One call, made again until it is answered; with `conflict` 409 is an answer too."""
        answer = self._request(method, path, body, self.key)
        assert answer.ok or (conflict and answer.status_code == 409), f"{method} {path}: {answer.text}"
        found: dict[str, Any] = answer.json()
        return found

    def lever(self, name: str, what: str) -> dict[str, Any]:
        """`pause` or `resume` the webhook of this name."""
        return self.call("POST", f"/v1/webhooks/{self.webhooks[name]}/{what}", conflict=True)

    def status(self, name: str) -> str:
        return str(self.call("GET", f"/v1/webhooks/{self.webhooks[name]}")["status"])

    def _made(self, path: str, body: Mapping[str, Any], key: str) -> dict[str, Any]:
        answer = self._request("POST", path, body, key)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def _request(self, method: str, path: str, body: Any, key: str) -> requests.Response:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = requests.request(
                    *(method, self._service["api_url"] + path),
                    json=body,
                    headers={"authorization": f"Bearer {key}"},
                    timeout=35,
                )
            except requests.RequestException as error:
                problem = str(error)
            else:
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer
                problem = answer.text
            assert time.monotonic() < deadline, f"{method} {path}: {problem}"
            time.sleep(0.1)
