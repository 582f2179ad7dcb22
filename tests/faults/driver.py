"""The callers of a run: they send events, and send each again with the same id until it is accepted."""

import itertools
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.faults.traffic import STRICT, event

CALLERS = 3  # beside the one of the ordered events
MOST_AT_ONCE = 30
PAUSE_SECONDS = 0.1  # before the same is sent again
TIMEOUT_SECONDS = 35  # above the gateway's 30
PATIENCE_SECONDS = 300  # no fault lasts for so long: what is not accepted by then is a finding


@dataclass
class Accepted:
    """What was answered with 2xx, by the event's number; and the answers that should not have been."""

    ids: dict[int, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    sent_again: int = 0


class Driver:
    """Sends `events` events at `per_second`, and then on as slowly as callers may until it is told to end.

    What the strict webhook takes is sent by one caller, one request after the other: only so is there an order.
    """

    def __init__(self, api_url: str, api_key: str, *, seed: int, events: int, per_second: float) -> None:
        self.accepted = Accepted()
        self._url = api_url
        self._key = api_key
        self._seed = seed
        self._events = events
        self._per_second = per_second
        self._end = threading.Event()
        self._sent_all = threading.Event()
        self._lock = threading.Lock()
        self._began = 0.0
        self._threads = [
            threading.Thread(target=self._call, args=(caller,), name=f"caller {caller}", daemon=True)
            for caller in range(CALLERS + 1)
        ]

    def start(self) -> None:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    @property
    def sent_all(self) -> bool:
        """Whether all events were accepted; those beyond are there to keep events flowing."""
        with self._lock:
            return len(self.accepted.ids) >= self._events

    def end(self) -> None:
        """Send what is begun until it is accepted, and no more."""
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _call(self, caller: int) -> None:
        chance = random.Random(f"{self._seed} caller {caller}")
        session = requests.Session()
        numbers = self._numbers(caller)
        while not self._end.is_set():
            batch = list(itertools.islice(numbers, chance.randint(1, MOST_AT_ONCE)))
            while (wait := self._due(batch[-1]) - time.monotonic()) > 0 and not self._end.is_set():
                time.sleep(min(wait, 0.1))
            self._deliver(session, batch, alone=len(batch) == 1)

    def _numbers(self, caller: int) -> Iterator[int]:
        """Of all numbers those that this caller sends; the last one sends what has an order."""
        for number in itertools.count():
            ordered = STRICT.wants(event(self._seed, number))
            if (caller == CALLERS) if ordered else (caller == number % CALLERS):
                yield number

    def _due(self, number: int) -> float:
        beyond = max(0, number - self._events)
        return self._began + min(number, self._events) / self._per_second + beyond * 4 / self._per_second

    def _deliver(self, session: requests.Session, batch: list[int], *, alone: bool) -> None:
        events = [event(self._seed, number) for number in batch]
        given_up = time.monotonic() + PATIENCE_SECONDS
        for again in itertools.count():
            answer = self._post(session, "/v1/events", events[0]) if alone else None
            answer = answer if alone else self._post(session, "/v1/events/batch", {"events": events})
            if answer is not None and answer.ok:
                found = [answer.json()] if alone else answer.json()["data"]
                with self._lock:
                    self.accepted.ids |= {n: one["id"] for n, one in zip(batch, found, strict=True)}
                    self.accepted.sent_again += again
                return
            refused = answer is not None and answer.status_code < 500 and answer.status_code != 429
            if refused or time.monotonic() > given_up:
                said = f"{answer.status_code} {answer.text[:300]}" if answer is not None else "no answer"
                with self._lock:
                    self.accepted.refused.append(f"{batch}: {said}")
                return
            time.sleep(PAUSE_SECONDS)

    def _post(self, session: requests.Session, path: str, body: Any) -> requests.Response | None:
        """None when there was no answer."""
        headers = {"authorization": f"Bearer {self._key}"}
        try:
            return session.post(self._url + path, json=body, headers=headers, timeout=TIMEOUT_SECONDS)
        except requests.RequestException:
            return None
