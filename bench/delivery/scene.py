"""Where a measurement takes place: a project of its own, its webhooks, and a receiver that verifies everything."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from bench import service
from local.demo.api import Api
from local.receiver.client import ReceiverClient, started

REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=60)


@dataclass(frozen=True)
class Webhook:
    """`endpoint` is its name at the receiver."""

    endpoint: str
    id: str
    secret: str


@dataclass(frozen=True)
class Scene:
    api: Api
    receiver: ReceiverClient
    receiver_pid: int
    webhooks: list[Webhook]
    stack_file: Path

    @property
    def fanout(self) -> int:
        return len(self.webhooks)

    async def reset_receiver(self) -> None:
        """Its counts begin at 0, and what it remembers of events is forgotten."""
        for webhook in self.webhooks:
            await self.receiver.register(webhook.endpoint, webhook.secret)

    async def processes(self) -> dict[str, list[int]]:
        return (await service.read(self.stack_file)).processes


@asynccontextmanager
async def scene(stack_file: Path, *, fanout: int, remember: int) -> AsyncIterator[Scene]:
    """Its webhooks are deleted at the end. Raises ApiError, ReceiverError, StackError."""
    stack = await service.read(stack_file)
    connections = aiohttp.TCPConnector(limit=256, keepalive_timeout=60)
    async with (
        aiohttp.ClientSession(connector=connections, timeout=REQUEST_TIMEOUT) as session,
        started("--remember", str(remember)) as (url, pid),
    ):
        admin = Api(session, stack.api_url, stack.admin_key)
        api = Api(session, stack.api_url, await _new_key(admin))
        receiver = ReceiverClient(session, url)
        webhooks = [await _webhook(api, receiver, f"bench-{number}") for number in range(fanout)]
        yield Scene(api, receiver, pid, webhooks, stack_file)
        await asyncio.gather(*(api.call("DELETE", f"/v1/webhooks/{webhook.id}") for webhook in webhooks))


async def _new_key(admin: Api) -> str:
    name = f"bench {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    project = await admin.call("POST", "/v1/projects", body={"name": name})
    wanted = {"name": name, "scopes": ["*"]}
    made = await admin.call("POST", f"/v1/projects/{project['id']}/api-keys", body=wanted)
    return str(made["key"])


async def _webhook(api: Api, receiver: ReceiverClient, name: str) -> Webhook:
    made = await api.call("POST", "/v1/webhooks", body={"name": name, "url": receiver.hook_url(name)})
    secret = await api.call("GET", f"/v1/webhooks/{made['id']}/secret")
    return Webhook(name, made["id"], secret["secret"])
