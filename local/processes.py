"""Long-running children: started until they answer, started again when they die, ended in good order."""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from local.errors import LocalError
from local.lifelines import die_with_parent
from local.logs import output_of, pump, say

READY_SECONDS = 60
POLL_SECONDS = 0.02
PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)  # seconds before another start; from the first again after a good while
GOOD_WHILE_SECONDS = 30
ROOT = Path(__file__).resolve().parents[1]


class ProcessError(LocalError):
    """A child ended, or did not answer, before it was of any use."""


class Child:
    """One program that is to run for as long as this one."""

    def __init__(
        self,
        name: str,
        command: Callable[[], Sequence[str]],
        *,
        ready: Callable[[], bool],
        environment: Mapping[str, str],
        prepare: Callable[[], None] = lambda: None,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_seconds: float = 10,
    ) -> None:
        """`prepare` runs in a thread before every start; `ready` is polled after it."""
        self.name = name
        self._command = command
        self._ready = ready
        self._environment = environment
        self._prepare = prepare
        self._stop_signal = stop_signal
        self._stop_seconds = stop_seconds
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pids(self) -> list[int]:
        running = self._process is not None and self._process.returncode is None
        return [self._process.pid] if self._process is not None and running else []

    async def start(self) -> None:
        """Start and wait until it answers; from then on it is kept running. Raises ProcessError."""
        await self._start_once()
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Ask it to end, and end it if it does not within its time."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):  # it ended just now
            process.send_signal(self._stop_signal)
        try:
            await asyncio.wait_for(process.wait(), self._stop_seconds)
        except TimeoutError:
            say(f"{self.name} does not end, killing it", logging.WARNING)
            process.kill()
            await process.wait()

    async def _keep(self) -> None:
        failures = 0
        while True:
            process, started = self._process, time.monotonic()
            if process is not None and process.returncode is None:
                await process.wait()
                say(f"{self.name} ended ({_how(process)}), starting it again", logging.WARNING)
            failures = 0 if time.monotonic() - started > GOOD_WHILE_SECONDS else failures
            await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
            failures += 1
            try:
                await self._start_once()
                say(f"{self.name} runs again")
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again, and said
                say(f"{self.name} does not start: {error}", logging.ERROR)

    async def _start_once(self) -> None:
        await asyncio.to_thread(self._prepare)
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command(),
            cwd=ROOT,
            env=dict(self._environment),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,  # Ctrl-C in a terminal is for this process, which ends them in order
            preexec_fn=die_with_parent(self._stop_signal),
        )
        assert process.stdout is not None  # noqa: S101 - it was asked for above
        self._reading = asyncio.create_task(pump(process.stdout, output_of(self.name)))
        await self._until_ready(process)

    async def _until_ready(self, process: Process) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready():
            if process.returncode is not None:
                raise ProcessError(f"{self.name} ended at once ({_how(process)}); the log says why")
            if time.monotonic() > deadline:
                process.kill()
                raise ProcessError(f"{self.name} did not answer within {READY_SECONDS} s")
            await asyncio.sleep(POLL_SECONDS)


async def in_foreground(command: Sequence[str]) -> int:
    """Run a command on this terminal to its end, or until this is cancelled; returns its exit status."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        stdin=DEVNULL,
        preexec_fn=die_with_parent(),
    )
    try:
        return await process.wait()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        raise


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of this checkout."""
    return [sys.executable, "-m", module, *arguments]


def _how(process: Process) -> str:
    code = process.returncode
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit status {code}"
