"""One event ahead of the rest: it meets the cold functions, and shows whether the way is open at all."""

import asyncio
import time

from local.demo.api import Api
from local.demo.webhooks import Webhook
from local.receiver.client import ReceiverClient

PATIENCE_SECONDS = 20.0
POLL_SECONDS = 0.02


class NotArrivedError(RuntimeError):
    """The first event did not arrive, so the others need not be sent."""


async def send_first(api: Api, receiver: ReceiverClient, webhook: Webhook) -> float:
    """Seconds to its arrival at `webhook`, which gets every event. Raises NotArrivedError and ApiError."""
    began = time.monotonic()
    body = {"type": "demo.began", "data": {"message": "the first event of the demo"}}
    event = await api.call("POST", "/v1/events", body=body)
    while time.monotonic() - began < PATIENCE_SECONDS:
        received = (await receiver.receipts(webhook.plan.endpoint)).get(event["id"])
        if received is not None:
            return received.first_ns / 1e9 - began
        await asyncio.sleep(POLL_SECONDS)
    raise NotArrivedError(
        f"the first event did not arrive within {PATIENCE_SECONDS:g} s; {await _state(api, event['id'], webhook)}"
    )


async def _state(api: Api, event_id: str, webhook: Webhook) -> str:
    async for row in api.every("/v1/deliveries", event_id=event_id, webhook_id=webhook.id):
        error = f": {row['last_error']['message']}" if row["last_error"] else ""
        return f"its delivery {row['id']} is {row['status']} after {row['attempts']} attempts{error}"
    return f"event {event_id} has no delivery to webhook {webhook.id}"
