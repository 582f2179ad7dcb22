"""Where it takes place: projects made through the API, with deliveries made in the database."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pg8000.native

from bench.database import address
from bench.lists import rows
from local.demo.stack import StackError

WEBHOOKS = 20  # of the project that is read
OTHERS = 9  # other projects, of one webhook each
ANSWER_SECONDS = 60


class Caller:
    """One caller of the API on a connection kept open."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON. Raises StackError unless the status is one of success."""
        status, _, answer = self.timed(method, path, body)
        if status >= 300:
            raise StackError(f"{method} {path} answered {status}: {answer!r}")
        return json.loads(answer)

    def timed(self, method: str, path: str, body: Any = None) -> tuple[int, float, bytes]:
        """Status, ms from the request to the whole answer, body."""
        sent = None if body is None else json.dumps(body)
        before = time.perf_counter()
        self._connection.request(method, path, sent, self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        return response.status, (time.perf_counter() - before) * 1000, answer


@dataclass(frozen=True)
class Scene:
    api: Caller
    bound: Caller  # with a key that is bound to the application
    names: dict[str, str]  # what the cases are written with


@contextmanager
def scene(stack_file: Path, *, own: int, others: int) -> Iterator[Scene]:
    """`own` deliveries in the project that is read, `others` in other ones. Raises StackError."""
    stack = json.loads(stack_file.read_text())
    admin = Caller(stack["api_url"], stack["admin_key"])
    project, key = _project(admin, "read")
    api = Caller(stack["api_url"], key)
    application = api("POST", "/v1/applications", {"name": "bench", "uid": "bench"})["id"]
    bound = _key(admin, project, application)
    webhooks = [_webhook(api, n, application if n == WEBHOOKS // 2 else None) for n in range(WEBHOOKS)]
    strangers = [Caller(stack["api_url"], _project(admin, f"other {n}")[1]) for n in range(OTHERS)]
    with closing(pg8000.native.Connection(**address(stack["database_url"]))) as sql:
        event = rows.make(sql, webhooks, own)
        rows.make(sql, [_webhook(stranger, 0, None) for stranger in strangers], others)
        sql.run("VACUUM ANALYZE webhook.webhook_deliveries")  # as autovacuum would have, in months
    start, end = (f"{datetime.now(UTC) - timedelta(days=days):%FT%TZ}" for days in (43, 40))
    names = {"ended": webhooks[0], "common": webhooks[1], "rare": webhooks[-1], "event": event}
    names |= {"start": start, "end": end}
    yield Scene(api, Caller(stack["api_url"], bound), names)


def _project(admin: Caller, name: str) -> tuple[str, str]:
    """Its id and a key of all scopes."""
    id = admin("POST", "/v1/projects", {"name": f"bench {name}"})["id"]
    return id, _key(admin, id, None)


def _key(admin: Caller, project: str, application: str | None) -> str:
    wanted = {"name": "bench", "scopes": ["*"], "application_id": application}
    return str(admin("POST", f"/v1/projects/{project}/api-keys", wanted)["key"])


def _webhook(api: Caller, number: int, application: str | None) -> str:
    wanted = {"name": f"bench {number}", "url": "http://127.0.0.1:9/", "application_id": application}
    return str(api("POST", "/v1/webhooks", wanted)["id"])
