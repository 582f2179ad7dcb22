"""The demo's three webhooks: made once, found again by their names, registered at the receiver on every run."""

from dataclasses import dataclass, field
from typing import Any

from local.demo.api import Api
from local.receiver.client import ReceiverClient


@dataclass(frozen=True)
class Plan:
    """A webhook the demo wants. `endpoint` is its name at the receiver, `behaviour` how it answers there."""

    endpoint: str
    name: str
    pattern: str
    behaviour: dict[str, Any] = field(default_factory=dict)

    def wants(self, event_type: str) -> bool:
        """Whether the pattern, `*` or a prefix such as `pull_request.*`, matches."""
        return self.pattern == "*" or event_type.startswith(self.pattern.removesuffix("*"))


FLAKY = Plan("flaky", "demo: fails at first", "issues.*", {"mode": "fail-first", "every": 4})
PLANS = (
    Plan("everything", "demo: everything", "*"),
    Plan("pull-requests", "demo: pull requests", "pull_request.*"),
    FLAKY,
)


@dataclass(frozen=True)
class Webhook:
    plan: Plan
    id: str


async def prepare(api: Api, receiver: ReceiverClient) -> list[Webhook]:
    """Ready to receive, in the order of PLANS. Raises ApiError and ReceiverError."""
    known = {row["name"]: row async for row in api.every("/v1/webhooks")}
    return [await _prepare(api, receiver, plan, known.get(plan.name)) for plan in PLANS]


async def _prepare(api: Api, receiver: ReceiverClient, plan: Plan, row: dict[str, Any] | None) -> Webhook:
    url = receiver.hook_url(plan.endpoint)
    if row is None:
        wanted = {"name": plan.name, "url": url, "event_types": [plan.pattern]}
        row = await api.call("POST", "/v1/webhooks", body=wanted)
    elif row["url"] != url:
        await api.call("PATCH", f"/v1/webhooks/{row['id']}", body={"url": url})
    secret = await api.call("GET", f"/v1/webhooks/{row['id']}/secret")
    await receiver.register(plan.endpoint, secret["secret"], **plan.behaviour)
    return Webhook(plan, row["id"])
