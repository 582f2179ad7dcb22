"""The faults of a run, in an order of the seed, while events flow: three at a time, each of another lane."""

import itertools
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import requests
from botocore.exceptions import BotoCoreError, ClientError

from tests.e2e.service import Service, processes
from tests.faults.arming import BY_LEVER, POINTS, Points
from tests.faults.database import AWAY, Database, until_it_works
from tests.faults.endpoints import EndpointsProcess
from tests.faults.meddler import Meddler, client
from tests.faults.migration import Migration
from tests.faults.project import Project
from tests.faults.traffic import GONE, PAUSED, REFUSING, TROUBLED

FIRES_WITHIN_SECONDS = 8  # a point that is armed while events flow; one that did not is armed again later
MEDDLES_SECONDS = 15  # at most, until it has done everything once
TRIES = 2  # of a point beyond the first
KILLED = ("api", "deliver", "deliver", "deliver", "dispatch", "authorizer", "jobs")


@dataclass
class Scenery:
    """What faults are done to."""

    service: Service
    points: Points
    database: Database
    migration: Migration
    meddler: Meddler
    endpoints: EndpointsProcess
    project: Project


@dataclass
class Done:
    """What was done so far, by kind, and what went wrong in doing it."""

    faults: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)


class Injector:
    """Goes through rounds of faults until it is told to end, or through `rounds` of them.

    A lane is a thread: one for the points of `deliver`, one for those of the other functions, one for what is done
    from outside. In a round each of a lane's faults comes once, in an order of the seed, the lane and the round.
    """

    def __init__(self, scenery: Scenery, *, seed: int, rounds: int | None) -> None:
        self.done = Done()
        self._on = scenery
        self._end = threading.Event()
        self._clock = threading.Lock()  # one jump at a time
        self._kinds: dict[str, Callable[[random.Random], None]] = {
            "a function killed": self._kill_function,
            "queues killed": self._kill_queues,
            "queues do not answer": self._freeze_queues,
            "messages copied, late, reordered, lost": self._meddle,
            "database killed": lambda chance: self._kill("postgres", signal.SIGKILL, chance),
            "database restarted": lambda chance: self._kill("postgres", signal.SIGINT, chance),
            "database sessions ended": self._end_sessions,
            "database full": self._fill_disk,
            "clock an hour ahead": lambda chance: self._jump("1 hour", chance),
            "clock an hour behind": lambda chance: self._jump("-1 hour", chance),
            "migration killed, made, undone": self._migrate,
            "key service killed": lambda chance: self._kill("aws", signal.SIGKILL, chance),
            "an endpoint down": self._trouble,
            "an endpoint gone": self._gone,
            "a webhook paused": self._pause,
            "dead letters redriven as from the console": self._redrive,
        }
        deliver = {point for point in POINTS if point.startswith("deliver.")}
        lanes = {"deliver": deliver, "functions": POINTS.keys() - deliver, "outside": self._kinds.keys()}
        self._lanes = [Lane(self, kinds, random.Random(f"{seed} {name}"), rounds) for name, kinds in lanes.items()]

    @property
    def kinds(self) -> set[str]:
        """Everything that a round has, points too."""
        return {*self._kinds, *POINTS}

    @property
    def round_done(self) -> bool:
        """Whether every fault was there once."""
        return all(lane.round_done.is_set() for lane in self._lanes)

    @property
    def ending(self) -> bool:
        return self._end.is_set()

    def not_yet(self, kinds: Iterable[str]) -> list[str]:
        """Those that are points and never fired."""
        fired = self._on.points.fired()
        return [kind for kind in kinds if kind in POINTS and not fired[kind]]

    def start(self) -> None:
        for lane in self._lanes:
            lane.start()

    def end(self) -> None:
        """End after the faults that are under way, and set right what can be set right."""
        self._end.set()
        for lane in self._lanes:
            lane.join()
        for point in POINTS:
            self._on.points.disarm(point)

    def one(self, kind: str, chance: random.Random) -> None:
        """Bring about one fault, and end it where it would not end by itself."""
        if kind in POINTS:
            self._point(kind)
        else:
            self._kinds[kind](chance)
            self.done.faults[kind] += 1

    def _point(self, point: str) -> None:
        self._on.points.arm(point)
        if point in BY_LEVER:
            self._start_job()
        if point.startswith("dispatch."):
            self._let_dispatch_find_much()
        self._on.points.wait_for(point, FIRES_WITHIN_SECONDS)

    def _let_dispatch_find_much(self) -> None:
        """As if it had not run for two minutes: what was lost is due, and retries are."""
        with self._jumped("2 minutes"):
            self.wake_dispatch()

    def wake_dispatch(self) -> None:
        """What the schedule does once a minute."""
        stack = self._on.service.stack()
        name = next(name for name in stack["functions"] if name.endswith("-dispatch"))
        url = f"{stack['lambda_url']}/2015-03-31/functions/{name}/invocations"
        with suppress(requests.RequestException):
            requests.post(url, data=b"{}", headers={"Authorization": "by hand"}, timeout=60)

    def _start_job(self) -> None:
        """The dead letters of the refusing endpoint once more, by a job, as soon as there are any."""
        deadline = time.monotonic() + FIRES_WITHIN_SECONDS
        while not self._dead_letters() and time.monotonic() < deadline:
            time.sleep(0.1)
        wanted = {"webhook_id": self._on.project.webhooks[REFUSING.name]}
        self._on.project.call("POST", "/v1/dead-letters/redrive", wanted)

    def _dead_letters(self) -> int:
        pending = "SELECT count(*) FROM webhook.webhook_dlq WHERE status = 'pending'"
        try:
            return int(self._on.database.rows(pending)[0][0])
        except AWAY:
            return 0

    def _kill(self, name: str, how: signal.Signals, chance: random.Random) -> None:
        """One of the processes of this name, if there are any at this moment."""
        pids = self._on.service.stack()["processes"].get(name, [])
        if pids:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(pids), how)

    def _kill_function(self, chance: random.Random) -> None:
        self._kill(chance.choice(KILLED), signal.SIGKILL, chance)

    def _kill_queues(self, chance: random.Random) -> None:
        self._kill("sqs", signal.SIGKILL, chance)

    def _freeze_queues(self, chance: random.Random) -> None:
        pids = processes(self._on.service.stack(), "sqs")
        for how in (signal.SIGSTOP, signal.SIGCONT):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, how)
            if how is signal.SIGSTOP:
                time.sleep(chance.uniform(0.5, 4))

    def _meddle(self, chance: random.Random) -> None:
        before = self._on.meddler.done.copy()
        deadline = time.monotonic() + MEDDLES_SECONDS
        self._on.meddler.start()
        time.sleep(chance.uniform(1.5, 2.5))
        while time.monotonic() < deadline and any(self._on.meddler.done[what] == n for what, n in before.items()):
            time.sleep(0.1)
        self._on.meddler.stop()

    def _end_sessions(self, chance: random.Random) -> None:
        with suppress(*AWAY):  # it is away as it is
            self._on.database.end_sessions()

    def _fill_disk(self, chance: random.Random) -> None:
        until_it_works(lambda: self._on.database.fill_disk(True))
        time.sleep(chance.uniform(0.7, 2))
        until_it_works(lambda: self._on.database.fill_disk(False))

    def _jump(self, interval: str, chance: random.Random) -> None:
        with self._jumped(interval):
            time.sleep(chance.uniform(0.7, 2))

    @contextmanager
    def _jumped(self, interval: str) -> Iterator[None]:
        with self._clock:
            until_it_works(lambda: self._on.database.jump(interval))
            try:
                yield
            finally:
                until_it_works(lambda: self._on.database.jump("0"))

    def _migrate(self, chance: random.Random) -> None:
        self._on.migration.kill_in_the_middle()
        self._on.migration.make()
        time.sleep(chance.uniform(0, 0.5))
        self._on.migration.undo()

    def _trouble(self, chance: random.Random) -> None:
        self._on.endpoints.set(TROUBLED.name, trouble=503)
        time.sleep(chance.uniform(0.5, 2))
        self._on.endpoints.set(TROUBLED.name, trouble=0)

    def _gone(self, chance: random.Random) -> None:
        self._on.endpoints.set(GONE.name, trouble=410)
        time.sleep(chance.uniform(0.2, 1))
        self._on.endpoints.set(GONE.name, trouble=0)
        self._on.project.lever(GONE.name, "resume")

    def _pause(self, chance: random.Random) -> None:
        self._on.project.lever(PAUSED.name, "pause")
        time.sleep(chance.uniform(0.5, 2))
        self._on.project.lever(PAUSED.name, "resume")

    def _redrive(self, chance: random.Random) -> None:
        stack = self._on.service.stack()
        sqs = client(stack["sqs_url"])
        (url,) = (url for name, url in stack["queues"].items() if name.endswith("-retry-dlq"))
        with suppress(BotoCoreError, ClientError):  # the queues are down, or a move is under way
            names = ["QueueArn"]
            arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]["QueueArn"]
            sqs.start_message_move_task(SourceArn=arn)


class Lane:
    """Faults of one sort, one after the other in a thread of its own."""

    def __init__(
        self, injector: Injector, kinds: Iterable[str], chance: random.Random, rounds: int | None
    ) -> None:
        self.round_done = threading.Event()
        self._injector = injector
        self._kinds = sorted(kinds)
        self._chance = chance
        self._rounds = itertools.count() if rounds is None else range(rounds)
        self._thread = threading.Thread(target=self._run, name="faults", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        for kind in self._plan():
            if self._injector.ending:
                return
            try:
                self._injector.one(kind, self._chance)
            except Exception as error:  # noqa: BLE001 - the run goes on, and then fails with it
                self._injector.done.errors.append(f"{kind}: {error!r}")
            time.sleep(self._chance.uniform(0.05, 0.4))

    def _plan(self) -> Iterator[str]:
        for _ in self._rounds:
            round_ = self._chance.sample(self._kinds, len(self._kinds))
            yield from round_
            for _ in range(TRIES):  # points that nobody came by in time
                yield from self._injector.not_yet(round_)
            self.round_done.set()
