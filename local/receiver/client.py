"""Working a receiver from another process: start one, register endpoints, read the score."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 15.0


class ReceiverError(RuntimeError):
    """The receiver does not start, or refused what was asked of it."""


class Received(NamedTuple):
    """What came of one event at one endpoint; times in ns of `time.monotonic_ns` on the same machine."""

    first_ns: int
    accepted_ns: int | None
    accepted: int
    refused: int


@dataclass(frozen=True)
class ReceiverClient:
    """`url` without a trailing slash. Every method raises ReceiverError or aiohttp.ClientError."""

    session: aiohttp.ClientSession
    url: str

    def hook_url(self, name: str) -> str:
        return f"{self.url}/hooks/{name}"

    async def register(self, name: str, secret: str, **behaviour: Any) -> None:
        """From nothing: what an endpoint of this name counted before is forgotten."""
        await self._call("PUT", f"/control/endpoints/{name}", {"secret": secret, **behaviour})

    async def change(self, name: str, **behaviour: Any) -> None:
        await self._call("PATCH", f"/control/endpoints/{name}", behaviour)

    async def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = await self._call("GET", "/control/stats")
        return stats

    async def accepted(self) -> int:
        """Events, over all endpoints. Costs the receiver next to nothing."""
        return int((await self._call("GET", "/control/accepted"))["accepted"])

    async def receipts(self, name: str) -> dict[str, Received]:
        """By event id, oldest first."""
        return _by_event(await self._call("GET", f"/control/receipts/{name}"))

    async def all_receipts(self) -> dict[str, dict[str, Received]]:
        """By endpoint, then as `receipts` has them."""
        return {name: _by_event(rows) for name, rows in (await self._call("GET", "/control/receipts")).items()}

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        async with self.session.request(method, self.url + path, json=body) as response:
            if response.status != 200:
                raise ReceiverError(f"{method} {path} answered {response.status}: {await response.text()}")
            return await response.json()


class Started(NamedTuple):
    """A receiver's process. `hosts` are the URLs that its endpoints are reached by; `url` is the first."""

    url: str
    pid: int
    hosts: list[str]


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[Started]:
    """A receiver as a child of this process. Raises ReceiverError.

    To be entered in the main thread: the child ends with the thread that started it.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.receiver", "--parent-pid", str(os.getpid()), *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for this process, which ends it last
    )
    try:
        hosts = [f"http://127.0.0.1:{port}" for port in await _ports(process)]
        yield Started(hosts[0], process.pid, hosts)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _by_event(rows: list[list[Any]]) -> dict[str, Received]:
    return {event_id: Received(*row) for event_id, *row in rows}


async def _ports(process: asyncio.subprocess.Process) -> list[int]:
    assert process.stdout is not None  # noqa: S101 - it was asked for above
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
        ports: list[int] = json.loads(line)["ports"]
    except (TimeoutError, ValueError):
        raise ReceiverError("the receiver does not start; its message is above") from None
    return ports
