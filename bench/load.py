"""The load: single events at a constant rate whatever the answers do, or batches as fast as they are taken.

Sent with libcurl: at 200 requests/s it takes 160 µs of CPU a request where aiohttp takes 410, of the same two
cores that the service has, and it is not late by the millisecond that asyncio rounds its timers up to.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from threading import Event
from typing import Any, NamedTuple

from bench.connections import Answer, Connections
from local.demo.api import ApiError

SINGLE, BATCH = "/v1/events", "/v1/events/batch"
POLL_SECONDS = 1.0
TYPE = "invoice.paid"


class Sent(NamedTuple):
    """An event that was accepted; `due_ns` is when its request was to be sent."""

    due_ns: int
    type: str


@dataclass
class Load:
    """What was sent. Times are ns of the monotonic clock.

    `events` are those accepted, by id, in the order they were accepted in; `deliveries` is how many they make.
    `answers_ns` is how long each request took from the moment it was due, so that neither a late generator nor a
    slow service can hide.
    """

    first_ns: int
    events: dict[str, Sent] = field(default_factory=dict)
    deliveries: int = 0
    answers_ns: list[int] = field(default_factory=list)

    def take(self, answer: Answer) -> None:
        """Raises ApiError if it says that the events were not accepted."""
        if answer.status != 202:
            raise ApiError(f"an event was answered {answer.status}: {answer.body.decode(errors='replace')}")
        self.answers_ns.append(answer.at_ns - answer.due_ns)
        said = json.loads(answer.body)
        for accepted in said.get("data", [said]):
            self.events[accepted["id"]] = Sent(answer.due_ns, accepted["type"])
            self.deliveries += accepted["webhooks_matched"]


def open_loop(
    connections: Connections, *, rate: float, seconds: float, bodies: Sequence[bytes], stop: Event | None = None
) -> Load:
    """One event a request, `rate` requests/s for `seconds` or until `stop`; `bodies` in turn. Raises ApiError."""
    load = Load(first_ns=time.monotonic_ns())
    bodies_in_turn, number, most = cycle(bodies), 0, round(rate * seconds)
    while True:
        due = load.first_ns + int(number / rate * 1e9)
        if stop is not None and stop.is_set():
            most = number
        if number < most and due <= time.monotonic_ns():
            connections.post(SINGLE, next(bodies_in_turn), due)
            number += 1
            continue
        if len(load.answers_ns) == most:
            return load
        pause = (due - time.monotonic_ns()) / 1e9 if number < most else POLL_SECONDS
        for answer in connections.answers(max(pause, 0.0)):
            load.take(answer)


def flat_out(connections: Connections, *, bodies: Sequence[bytes], senders: int) -> Load:
    """Each body, a batch of events, once: `senders` at a time, the next when one is answered. Raises ApiError."""
    waiting = iter(bodies)
    load = Load(first_ns=time.monotonic_ns())
    while True:
        while connections.in_flight < senders and (body := next(waiting, None)) is not None:
            connections.post(BATCH, body, time.monotonic_ns())
        if not connections.in_flight:
            return load
        for answer in connections.answers(POLL_SECONDS):
            load.take(answer)


def single(size: int, type: str = TYPE) -> bytes:
    """The body of a request with one event, whose data has about `size` bytes."""
    return json.dumps(_event(size, type)).encode()


def batches(events: int, *, batch: int, size: int, types: Sequence[str] = (TYPE,)) -> list[bytes]:
    """The bodies of requests with `batch` events each, `events` in all, of these types in turn."""
    made, in_turn = {type: _event(size, type) for type in types}, cycle(types)
    whole = [made[type] for type in islice(in_turn, events)]
    return [json.dumps({"events": whole[begin : begin + batch]}).encode() for begin in range(0, events, batch)]


def _event(size: int, type: str) -> dict[str, Any]:
    data = {"invoice": "in_01HV3K", "customer": "cus_9s6XKzkNRiz8i3", "amount": 12_050, "currency": "eur"}
    padding = max(size - len(json.dumps(data)) - len(', "note": ""'), 0)
    return {"type": type, "data": {**data, "note": "x" * padding}}
