"""A run from its start to the last delivery: events, faults, and the time in which everything has to finish."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from tests.e2e.service import Service
from tests.faults.arming import Points
from tests.faults.database import AWAY, Database, until_it_works
from tests.faults.driver import Accepted, Driver
from tests.faults.endpoints import EndpointsProcess, Received
from tests.faults.injector import Injector, Scenery
from tests.faults.meddler import Meddler
from tests.faults.migration import Migration
from tests.faults.project import Project
from tests.faults.traffic import WISHES

UNFINISHED = """
SELECT (SELECT count(*) FROM webhook.webhook_deliveries WHERE status NOT IN ('delivered', 'failed'))
  + (SELECT count(*) FROM webhook.webhook_dlq WHERE status = 'pending' AND sweep_at IS NOT NULL)
  + (SELECT count(*) FROM webhook.jobs WHERE status IN ('queued', 'running'))
"""
WAITING = """
SELECT w.name, d.status, d.attempts, d.last_error_code, d.sweep_at, d.scheduled_at, d.lease_expires_at, count(*)
FROM webhook.webhook_deliveries d JOIN webhook.webhooks w ON w.id = d.webhook_id
WHERE d.status NOT IN ('delivered', 'failed') GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 8 DESC LIMIT 20
"""
# By so many seconds the functions' clock is put on when nothing moves any more: what waits, for a lost message, a
# lease or because it was written while the clock was an hour ahead, would wait for longer than this run.
STEPS = (100, 3700)
STILL_SECONDS = 1.0  # without a delivery ending, nothing moves any more
SETTLE_SECONDS = 1800  # for all to finish once the faults are over, whatever the clock is set to


Result = TypeVar("Result")


@dataclass(frozen=True)
class Options:
    """`patience`, in seconds, is how long deliveries may wait before the functions' clock is put on."""

    seed: int
    events: int
    per_second: float
    patience: float
    rounds: int | None  # of faults; None: for as long as there are events


@dataclass
class Outcome:
    """What a run left, for the checks and the report."""

    options: Options
    project: Project
    accepted: Accepted
    received: list[Received]
    faults: Counter[str]
    fired: Counter[str]
    never_fired: set[str]
    meddled: dict[str, int]
    errors: list[str]
    unfinished: list[list[object]]  # what was still under way when the time was over
    database: Database
    clock_steps: int = 0
    left_after_patience: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def all_faults(self) -> int:
        return self.faults.total() + self.fired.total()


class Run:
    """Everything that is started is ended by `stop`, whatever happened."""

    def __init__(self, options: Options, folder: Path, template: Path) -> None:
        self._options = options
        self._points = Points(folder / "points")
        copied = self._points.template(template, folder / "template.json")
        self._service = Service(folder / "state of hookline", copied)
        self._endpoints = EndpointsProcess({wish.name: wish.kind for wish in WISHES}, folder / "notes")
        self._seconds: dict[str, float] = {}
        self._clock_steps = 0
        self._left_after_patience = 0

    def stop(self) -> None:
        try:
            self._service.stop()
        finally:
            self._endpoints.stop()

    def go(self) -> Outcome:
        scenery = self._timed("start", self._start)
        injector = Injector(scenery, seed=self._options.seed, rounds=self._options.rounds)
        driver = Driver(
            self._service["api_url"],
            scenery.project.key,
            seed=self._options.seed,
            events=self._options.events,
            per_second=self._options.per_second,
        )
        self._timed("faults", lambda: self._flow(driver, injector))
        unfinished = self._timed("finish", lambda: self._settle(scenery, injector))
        fired = self._points.fired()
        return Outcome(
            options=self._options,
            project=scenery.project,
            accepted=driver.accepted,
            received=self._endpoints.received(),
            faults=injector.done.faults,
            fired=fired,
            never_fired=injector.kinds - set(fired) - set(injector.done.faults),
            meddled=scenery.meddler.done,
            errors=injector.done.errors,
            unfinished=unfinished,
            database=scenery.database,
            clock_steps=self._clock_steps,
            left_after_patience=self._left_after_patience,
            seconds=self._seconds,
        )

    def _start(self) -> Scenery:
        self._service.start()
        stack = self._service.stack()
        database = Database(stack["database_url"])
        database.set_up()
        project = Project(self._service)
        project.subscribe(self._endpoints)
        queues = [url for name, url in stack["queues"].items() if name.endswith(("-delivery", "-retry"))]
        return Scenery(
            service=self._service,
            points=self._points,
            database=database,
            migration=Migration(database, stack["database_url"]),
            meddler=Meddler(stack["sqs_url"], queues, seed=str(self._options.seed)),
            endpoints=self._endpoints,
            project=project,
        )

    def _flow(self, driver: Driver, injector: Injector) -> None:
        """Events and faults, until both are through what they have to do."""
        driver.start()
        injector.start()
        while not (driver.sent_all and injector.round_done):
            time.sleep(0.5)
            assert not driver.accepted.refused, driver.accepted.refused[0]
        injector.end()
        driver.end()

    def _settle(self, scenery: Scenery, injector: Injector) -> list[list[object]]:
        """Wait until nothing is under way; what still is when the time is over."""
        for wish in WISHES:
            scenery.project.lever(wish.name, "resume")
        began, least, since = time.monotonic(), 1 << 60, time.monotonic()
        while (left := self._unfinished(scenery.database)) > 0:
            now = time.monotonic()
            if left < least:
                least, since = left, now
            if now - began > SETTLE_SECONDS:
                return scenery.database.rows(WAITING) or [["dead letters or jobs", left]]
            if now - began > self._options.patience and now - since > STILL_SECONDS:
                self._left_after_patience = self._left_after_patience or left
                step = STEPS[min(self._clock_steps, len(STEPS) - 1)]
                self._clock_steps += 1
                since = now
                until_it_works(partial(scenery.database.go_on, step))
            injector.wake_dispatch()
            time.sleep(0.5)
        return []

    def _unfinished(self, database: Database) -> int:
        try:
            return int(database.rows(UNFINISHED)[0][0])
        except AWAY:
            return 1 << 60

    def _timed(self, name: str, work: Callable[[], Result]) -> Result:
        began = time.monotonic()
        try:
            return work()
        finally:
            self._seconds[name] = time.monotonic() - began
