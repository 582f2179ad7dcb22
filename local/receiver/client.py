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

    async def receipts(self, name: str) -> dict[str, Received]:
        """By event id, oldest first."""
        rows = await self._call("GET", f"/control/receipts/{name}")
        return {event_id: Received(*row) for event_id, *row in rows}

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        async with self.session.request(method, self.url + path, json=body) as response:
            if response.status != 200:
                raise ReceiverError(f"{method} {path} answered {response.status}: {await response.text()}")
            return await response.json()


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[tuple[str, int]]:
    """A receiver as a child of this process: its URL and its pid. Raises ReceiverError.

    To be entered in the main thread: the child ends with the thread that started it.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.receiver", "--parent-pid", str(os.getpid()), *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for this process, which ends it last
    )
    try:
        yield f"http://127.0.0.1:{await _port(process)}", process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _port(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None  # noqa: S101 - it was asked for above
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
        return int(json.loads(line)["port"])
    except (TimeoutError, ValueError):
        raise ReceiverError("the receiver does not start; its message is above") from None
