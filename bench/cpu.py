"""CPU time by what was running: each function, Postgres, the emulators, and the benchmark's own processes."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psutil

from bench.scene import Scene

# In the order of the report. What stack.json names beside these is a function.
DATABASE = "postgres"
EMULATORS = ("sqs", "aws", "supervisor")  # the supervisor is API Gateway, the mappings and the schedules here
OURS = ("receiver", "load generator")

SAMPLE_SECONDS = 2.0
SETTLE_SECONDS = 0.5  # for the last receipts to be recorded: that is part of what a delivery costs

Processes = Mapping[str, Sequence[int]]


@dataclass
class Meter:
    """CPU seconds by group since `start`.

    To be sampled now and then: of a process that has ended, its last sample counts.
    """

    _before: dict[tuple[str, int], float] = field(default_factory=dict)
    _now: dict[tuple[str, int], float] = field(default_factory=dict)

    def start(self, processes: Processes) -> None:
        self._before = _read(processes)
        self._now = dict(self._before)

    def sample(self, processes: Processes) -> None:
        self._now |= _read(processes)

    def seconds(self) -> dict[str, float]:
        sums: dict[str, float] = {}
        for key, seconds in self._now.items():
            sums[key[0]] = sums.get(key[0], 0.0) + seconds - self._before.get(key, 0.0)
        return sums


@asynccontextmanager
async def metered(scene: Scene) -> AsyncIterator[Meter]:
    """Measures until the block is over and SETTLE_SECONDS have passed. Raises StackError."""
    meter = Meter()
    meter.start(_processes(await scene.processes(), scene.receiver_pid))

    async def sample() -> None:
        processes = _processes(await scene.processes(), scene.receiver_pid)
        await asyncio.to_thread(meter.sample, processes)

    async def keep_sampling() -> None:
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            await sample()

    sampling = asyncio.create_task(keep_sampling())
    try:
        yield meter
        await asyncio.sleep(SETTLE_SECONDS)
        await sample()
    finally:
        sampling.cancel()


def functions(groups: Iterable[str]) -> list[str]:
    """Those of the groups that are functions."""
    return [group for group in groups if group not in (DATABASE, *EMULATORS, *OURS)]


def of_functions(seconds: Mapping[str, float]) -> float:
    """What all functions took together."""
    return sum(seconds[group] for group in functions(seconds))


def _processes(service: Processes, receiver: int) -> dict[str, Sequence[int]]:
    """The service's and the benchmark's own; this process is the load generator."""
    return {**service, "receiver": [receiver], "load generator": [os.getpid()]}


def _read(processes: Processes) -> dict[tuple[str, int], float]:
    found = {}
    for group, pids in processes.items():
        for pid in pids:
            try:
                found[group, pid] = _seconds(psutil.Process(pid), tree=group == DATABASE)
            except psutil.NoSuchProcess:
                continue  # it ended since stack.json was read; its last sample stands
    return found


def _seconds(process: psutil.Process, *, tree: bool) -> float:
    """With `tree`, of its children too: those that live, and those it has waited for."""
    times = process.cpu_times()
    total = times.user + times.system
    if tree:
        total += times.children_user + times.children_system
        total += sum(_seconds_if_alive(child) for child in process.children(recursive=True))
    return total


def _seconds_if_alive(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system + times.children_user + times.children_system
