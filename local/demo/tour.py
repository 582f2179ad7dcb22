"""The lines to go on by hand with, ready to be pasted."""

from typing import Any

from local.demo.stack import Stack
from local.demo.webhooks import Webhook


def tour(stack: Stack, flaky: Webhook, retried: dict[str, Any] | None, *, receiver_stays: bool) -> str:
    """`flaky` is the webhook whose endpoint fails at first, `retried` one of its deliveries."""
    waits = "" if receiver_stays else "; its endpoint ended with the demo, so you will see it wait for a retry"
    lines = [
        f"API={stack.api_url} KEY={stack.api_key}",
        "",
        *_of_deliveries(flaky, retried),
        f"# an event of your own{waits}",
        'curl -s $API/v1/events -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\',
        """  -d '{"type": "tour.taken", "data": {"hello": "world"}}'""",
        "",
        "# every operation, to read and to try",
        f"{stack.api_url}/docs",
    ]
    return "\n".join(lines)


def _of_deliveries(flaky: Webhook, retried: dict[str, Any] | None) -> list[str]:
    lines = [
        "# what went to the endpoint that fails at first",
        f'curl -s "$API/v1/deliveries?webhook_id={flaky.id}&limit=5" -H "Authorization: Bearer $KEY"',
        "",
    ]
    if retried is not None:
        lines += [
            "# the attempts of one that was tried again: what was sent, what came back",
            f'curl -s $API/v1/deliveries/{retried["id"]}/attempts -H "Authorization: Bearer $KEY"',
            "",
        ]
    return lines
