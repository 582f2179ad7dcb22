"""The customers' endpoints of a run: a process that verifies every request and notes it before it answers.

Each endpoint has a port of its own, so that the sender takes each for a host of its own. What an endpoint answers
follows from its kind, the event's id and how often it has come, not from chance. A line of `--notes` is a request:
[time in ns, endpoint, webhook-id, delivery id, attempt, answered status, signature good, digest of the body].
"""

import argparse
import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import requests
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from local.serving import listen
from local.sqs.parent import end_with_parent

ROOT = Path(__file__).parents[2]
HANGS_SECONDS = 4.0  # beyond the timeout of the webhook whose endpoint does so
SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature")


class Received(NamedTuple):
    """A request as the endpoint saw it; `status` is what it answered, if the sender lived to read it."""

    at_ns: int
    endpoint: str
    webhook_id: str
    delivery_id: str
    attempt: int
    status: int
    genuine: bool
    digest: str

    @property
    def taken(self) -> bool:
        return 200 <= self.status <= 299


@dataclass
class Endpoint:
    """`trouble` is the status it answers to everything for as long as it is not 0."""

    name: str
    kind: str
    webhook: Webhook | None = None
    trouble: int = 0
    times: Counter[str] = field(default_factory=Counter)

    def answer(self, webhook_id: str) -> tuple[int, float]:
        """The status, and after how many seconds."""
        self.times[webhook_id] += 1
        return (self.trouble, 0.0) if self.trouble else _answer(self.kind, webhook_id, self.times[webhook_id])


def _answer(kind: str, webhook_id: str, time_: int) -> tuple[int, float]:
    """`time_` is 1 for the first time that this event comes to this endpoint."""
    chance = int.from_bytes(hashlib.sha256(f"{kind} {webhook_id}".encode()).digest()[:4], "big")
    match kind:
        case "refusing":  # every attempt, with what is nobody's outage
            return 404, 0.0
        case "flaky":  # one in ten is refused once, another one twice
            return (500 if time_ <= {0: 2, 1: 1}.get(chance % 10, 0) else 200), 0.0
        case "stumbling":  # one in 30 is refused once, one in 60 always
            refused = chance % 60 == 0 or (chance % 30 == 1 and time_ == 1)
            return (404 if refused else 200), 0.0
        case "slow":  # up to half a second, and one in 20 hangs at first
            return 200, (HANGS_SECONDS if chance % 20 == 0 and time_ == 1 else chance % 10 / 20)
        case _:
            return 200, 0.0


class Endpoints:
    """All endpoints and their control, in one process."""

    def __init__(self, kinds: dict[str, str], notes: Path) -> None:
        self._endpoints = {name: Endpoint(name, kind) for name, kind in kinds.items()}
        self._notes = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def start(self) -> dict[str, int]:
        """The port of each, and of the control."""
        ports = {"": (await listen(self._control, max_body=1 << 20)).port}
        for name, endpoint in self._endpoints.items():
            ports[name] = (await listen(self._receiver(endpoint), max_body=1 << 20)).port
        return ports

    def _receiver(self, endpoint: Endpoint) -> Any:
        async def receive(request: web.BaseRequest) -> web.StreamResponse:
            body = await request.read()
            at_ns = time.time_ns()
            headers = request.headers
            webhook_id = headers.get("webhook-id", "")
            genuine = _genuine(endpoint, headers, body)
            status, delay = endpoint.answer(webhook_id) if genuine else (401, 0.0)
            received = Received(
                *(at_ns, endpoint.name, webhook_id, headers.get("hookline-delivery-id", "")),
                *(int(headers.get("hookline-attempt", "0")), status, genuine, hashlib.sha256(body).hexdigest()),
            )
            os.write(self._notes, f"{json.dumps(received)}\n".encode())
            if delay:
                await asyncio.sleep(delay)
            return web.Response(status=status)

        return receive

    async def _control(self, request: web.BaseRequest) -> web.StreamResponse:
        """PUT /<name> with {"secret"?, "trouble"?}."""
        endpoint = self._endpoints[request.path[1:]]
        wanted = await request.json()
        if "secret" in wanted:
            endpoint.webhook = Webhook(wanted["secret"])
        endpoint.trouble = wanted.get("trouble", endpoint.trouble)
        return web.Response()


def _genuine(endpoint: Endpoint, headers: Any, body: bytes) -> bool:
    if endpoint.webhook is None:
        return False
    try:
        endpoint.webhook.verify(body, {name: headers.get(name, "") for name in SIGNED}, json_parse=False)
    except (WebhookVerificationError, ValueError):
        return False
    return True


class EndpointsProcess:
    """The process, seen from the suite."""

    def __init__(self, kinds: dict[str, str], notes: Path) -> None:
        command = [sys.executable, "-m", "tests.faults.endpoints", "--notes", str(notes)]
        command += ["--kinds", json.dumps(kinds), "--parent-pid", str(os.getpid())]
        self._notes = notes
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._ports: dict[str, int] = json.loads(self._process.stdout.readline())

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name]}/hook"

    def set(self, name: str, **wanted: Any) -> None:
        url = f"http://127.0.0.1:{self._ports['']}/{name}"
        requests.put(url, json=wanted, timeout=30).raise_for_status()

    def received(self) -> list[Received]:
        """Every request so far, in the order in which they came."""
        with self._notes.open() as lines:
            return [Received(*json.loads(line)) for line in lines]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.endpoints", description=__doc__)
    parser.add_argument("--kinds", type=json.loads, required=True, help="JSON: name → kind")
    parser.add_argument("--notes", type=Path, required=True)
    parser.add_argument("--parent-pid", type=int, required=True)
    arguments = parser.parse_args()
    end_with_parent(arguments.parent_pid)
    asyncio.run(_serve(Endpoints(arguments.kinds, arguments.notes)))


async def _serve(endpoints: Endpoints) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(json.dumps(await endpoints.start()), flush=True)
    await stop.wait()


if __name__ == "__main__":
    main()
