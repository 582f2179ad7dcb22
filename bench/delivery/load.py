"""The load: single events at a constant rate whatever the answers do, or batches as fast as they are taken.

Sent with libcurl: at 200 requests/s it takes 160 µs of CPU a request where aiohttp takes 410, of the same two
cores that the service has, and it is not late by the millisecond that asyncio rounds its timers up to.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.delivery.connections import Answer, Connections
from local.demo.api import ApiError

SINGLE, BATCH = "/v1/events", "/v1/events/batch"
POLL_SECONDS = 1.0


@dataclass
class Load:
    """What was sent. Times are ns of the monotonic clock.

    `events` has the moment each accepted event was due, by its id; `answers_ns` how long each request took from
    the moment it was due, so that neither a late generator nor a slow service can hide.
    """

    first_ns: int
    events: dict[str, int] = field(default_factory=dict)
    answers_ns: list[int] = field(default_factory=list)

    def take(self, answer: Answer) -> None:
        """Raises ApiError if it says that the events were not accepted."""
        if answer.status != 202:
            raise ApiError(f"an event was answered {answer.status}: {answer.body.decode(errors='replace')}")
        self.answers_ns.append(answer.at_ns - answer.due_ns)
        said = json.loads(answer.body)
        for accepted in said.get("data", [said]):
            self.events[accepted["id"]] = answer.due_ns


def open_loop(connections: Connections, *, rate: float, seconds: float, size: int) -> Load:
    """One event a request, `rate` requests/s for `seconds`. Raises ApiError."""
    load = Load(first_ns=time.monotonic_ns())
    due = [load.first_ns + int(number / rate * 1e9) for number in range(round(rate * seconds))]
    body, started = json.dumps(event(size)).encode(), 0
    while len(load.answers_ns) < len(due):
        while started < len(due) and due[started] <= time.monotonic_ns():
            connections.post(SINGLE, body, due[started])
            started += 1
        pause = (due[started] - time.monotonic_ns()) / 1e9 if started < len(due) else POLL_SECONDS
        for answer in connections.answers(max(pause, 0.0)):
            load.take(answer)
    return load


def flat_out(connections: Connections, *, events: int, batch: int, senders: int, size: int) -> Load:
    """`senders` requests at a time, the next when one is answered. Raises ApiError."""
    bodies = iter(list(_batches(events, batch, size)))  # made before the clock starts
    load = Load(first_ns=time.monotonic_ns())
    while True:
        while connections.in_flight < senders and (body := next(bodies, None)) is not None:
            connections.post(BATCH, body, time.monotonic_ns())
        if not connections.in_flight:
            return load
        for answer in connections.answers(POLL_SECONDS):
            load.take(answer)


def event(size: int) -> dict[str, object]:
    """Its data has about `size` bytes."""
    data = {"invoice": "in_01HV3K", "customer": "cus_9s6XKzkNRiz8i3", "amount": 12_050, "currency": "eur"}
    padding = max(size - len(json.dumps(data)) - len(', "note": ""'), 0)
    return {"type": "invoice.paid", "data": {**data, "note": "x" * padding}}


def _batches(events: int, batch: int, size: int) -> Iterator[bytes]:
    for begin in range(0, events, batch):
        yield json.dumps({"events": [event(size)] * min(batch, events - begin)}).encode()
