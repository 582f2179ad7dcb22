"""Where a measurement takes place: a project of its own, its webhooks, and a receiver that verifies everything."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes
from typing import Any, TypeVar

import aiohttp

from bench import service
from local.demo.api import Api
from local.receiver.client import ReceiverClient, started

REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=60)
AT_ONCE = 8  # requests of a preparation: enough to keep two cores busy

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """A webhook that is wanted. `endpoint` is its name at the receiver, `fields` are others of its creation."""

    endpoint: str
    event_types: Sequence[str] = ("*",)
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Webhook:
    endpoint: str
    id: str
    secret: str


@dataclass(frozen=True)
class Scene:
    """`webhooks` in the order of their plans."""

    api: Api
    receiver: ReceiverClient
    receiver_pid: int
    webhooks: list[Webhook]
    stack_file: Path

    @property
    def fanout(self) -> int:
        return len(self.webhooks)

    async def reset_receiver(self) -> None:
        """Its counts begin at 0, what it remembers of events is forgotten, and every endpoint is well."""
        await together(self.receiver.register(webhook.endpoint, webhook.secret) for webhook in self.webhooks)

    async def processes(self) -> dict[str, list[int]]:
        return (await service.read(self.stack_file)).processes


@asynccontextmanager
async def scene(
    stack_file: Path, plans: Sequence[Plan], *, remember: int, hosts: int = 1, tidy: bool = True
) -> AsyncIterator[Scene]:
    """The endpoints are on `hosts` ports in turn, each a host of its own to the service, and remember that many
    events each. With `tidy` its webhooks are deleted at the end, also after a failure.

    Raises ApiError, ReceiverError, StackError.
    """
    stack = await service.read(stack_file)
    connections = aiohttp.TCPConnector(limit=256, keepalive_timeout=60)
    async with (
        aiohttp.ClientSession(connector=connections, timeout=REQUEST_TIMEOUT) as session,
        started("--remember", str(remember), "--hosts", str(hosts)) as receiver,
    ):
        api = Api(session, stack.api_url, await _new_key(Api(session, stack.api_url, stack.admin_key)))
        webhooks = await together(
            _webhook(api, plan, ReceiverClient(session, receiver.hosts[number % hosts]))
            for number, plan in enumerate(plans)
        )
        here = Scene(api, ReceiverClient(session, receiver.url), receiver.pid, webhooks, stack_file)
        await here.reset_receiver()
        try:
            yield here
        finally:
            if tidy:
                await together(api.call("DELETE", f"/v1/webhooks/{webhook.id}") for webhook in webhooks)


async def together(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All of these, AT_ONCE at a time; what they return, in their order."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(call: Coroutine[Any, Any, T]) -> T:
        async with free:
            return await call

    return await asyncio.gather(*(one(call) for call in calls))


async def _new_key(admin: Api) -> str:
    name = f"bench {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    project = await admin.call("POST", "/v1/projects", body={"name": name})
    wanted = {"name": name, "scopes": ["*"]}
    made = await admin.call("POST", f"/v1/projects/{project['id']}/api-keys", body=wanted)
    return str(made["key"])


async def _webhook(api: Api, plan: Plan, host: ReceiverClient) -> Webhook:
    secret = "whsec_" + b64encode(token_bytes(32)).decode()
    wanted = {"name": plan.endpoint, "url": host.hook_url(plan.endpoint), "event_types": list(plan.event_types)}
    made = await api.call("POST", "/v1/webhooks", body={**wanted, "secret": secret, **plan.fields})
    return Webhook(plan.endpoint, made["id"], secret)
