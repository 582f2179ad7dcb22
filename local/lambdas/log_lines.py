"""What CloudWatch Logs does for a subscription: lines that are wanted go to a function, some at a time.

Whoever writes lines never waits for that: what cannot be delivered in time is dropped, and counted.
"""

import asyncio
import base64
import contextlib
import gzip
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from local.cloudformation.subscriptions import SubscriptionSpec
from local.cloudformation.template import ACCOUNT
from local.logs import Output, say

PAUSE_SECONDS = 5.0  # lines that come within it go together: an invocation for each would cost more than they do
AT_ONCE = 2_000
EMBEDDED = '"_aws":'  # CloudWatch's embedded metric format
MOST_WAITING = 20_000  # some 10 MB, a minute of a busy service

Invoke = Callable[[str, bytes], Awaitable[None]]
"""Runs a function by name to its end, with the tries that an asynchronous invocation has."""


class Subscription:
    """The lines of one log for one function, in their order."""

    def __init__(self, spec: SubscriptionSpec, invoke: Invoke) -> None:
        self.spec = spec
        self.dropped = 0
        self._invoke = invoke
        self._waiting: deque[tuple[int, str]] = deque()
        self._any = asyncio.Event()
        self._number = 0

    def take(self, line: str) -> bool:
        """Note the line if it is wanted, and say so. Returns at once, whatever becomes of the function."""
        if not self.spec.takes(line):
            return False
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
        else:
            self._waiting.append((time.time_ns() // 1_000_000, line))
            self._any.set()
        return True

    async def keep_delivering(self) -> None:
        while True:
            await self._any.wait()
            await asyncio.sleep(PAUSE_SECONDS)
            await self._deliver()

    async def finish(self, seconds: float) -> None:
        """Deliver what waits, as far as that is done within `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._waiting:
                    await self._deliver()

    async def _deliver(self) -> None:
        lines = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        if not self._waiting:
            self._any.clear()
        if self.dropped:
            say(f"{self.dropped} lines for {self.spec.function} were dropped: it is too slow", logging.WARNING)
            self.dropped = 0
        if lines:
            await self._invoke(self.spec.function, payload(self.spec, [self._event(*line) for line in lines]))

    def _event(self, timestamp: int, line: str) -> dict[str, Any]:
        self._number += 1
        return {"id": f"{timestamp:020d}{self._number:036d}", "timestamp": timestamp, "message": line}


def payload(spec: SubscriptionSpec, events: list[dict[str, Any]]) -> bytes:
    """What the function gets: https://docs.aws.amazon.com/lambda/latest/dg/services-cloudwatchlogs.html."""
    batch = {
        "messageType": "DATA_MESSAGE",
        "owner": ACCOUNT,
        "logGroup": spec.log_group,
        "logStream": "local",
        "subscriptionFilters": [spec.name],
        "logEvents": events,
    }
    packed = gzip.compress(json.dumps(batch).encode(), compresslevel=1)
    return json.dumps({"awslogs": {"data": base64.b64encode(packed).decode()}}).encode()


def tapped(output: Output, subscriptions: list[Subscription]) -> Output:
    """The same output, of which the subscriptions of its log take what they want.

    Others than those of CloudWatch's own metrics are seen nowhere else: there are several for each request, each
    takes a tenth of a millisecond to be written for people, and what they say can be read from the API.
    """
    if not subscriptions:
        return output

    def take(line: str) -> None:
        taken = [one.take(line) for one in subscriptions]
        if not any(taken) or EMBEDDED in line:
            output(line)

    return take
