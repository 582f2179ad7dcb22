"""One process of a function: AWS's own runtime client in a clean environment, one invocation at a time."""

import asyncio
import signal
import sys
import time
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Callable, Mapping
from pathlib import Path

from local.lambdas.runtime_api import Invocation, Result, RuntimeApi, error
from local.lifelines import die_with_parent
from local.logs import Output, pump

INIT_SECONDS = 60  # AWS gives 10 s, then goes on within the timeout; a laptop may be busy starting everything


class Worker:
    """A process and the Runtime API it talks to."""

    def __init__(self, *, on_idle: Callable[["Worker"], None], on_exit: Callable[["Worker"], None]) -> None:
        self._api = RuntimeApi(self._idle)
        self._on_idle = on_idle
        self._on_exit = on_exit
        self._process: Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._killed = False
        self.ready = False  # whether it ever asked for work
        self.idle_since = time.monotonic()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def init_error(self) -> Result:
        """Why it ended before it asked for work."""
        return self._api.init_error or error("Runtime.ExitError", self._exit_reason())

    async def start(
        self, handler: str, *, environment: Mapping[str, str], root: Path, output: Output, niceness: int = 0
    ) -> None:
        address = await self._api.start()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "awslambdaric", handler),
            cwd=root,
            env={**environment, "AWS_LAMBDA_RUNTIME_API": address},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,  # Ctrl-C is for the supervisor, which lets invocations finish
            preexec_fn=die_with_parent(niceness=niceness),
        )
        if self._killed:  # while it was being started
            self.kill()
        self._watch = asyncio.create_task(self._until_exit(self._process, output))
        asyncio.get_running_loop().call_later(INIT_SECONDS, self._give_up_init, output)

    async def run(self, invocation: Invocation) -> Result:
        """Run one invocation to its end: an answer, a crash, or the caller's timeout (see kill)."""
        self._api.give(invocation)
        return await invocation.result

    def kill(self) -> None:
        """The way Lambda ends a process: at once."""
        self._killed = True
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)

    async def ended(self) -> None:
        if self._watch is not None:
            await self._watch

    def _give_up_init(self, output: Output) -> None:
        if not self.ready and self._process is not None and self._process.returncode is None:
            output(f"[ERROR] not ready after {INIT_SECONDS} s")
            self.kill()

    def _idle(self) -> None:
        self.ready = True
        self.idle_since = time.monotonic()
        self._on_idle(self)

    async def _until_exit(self, process: Process, output: Output) -> None:
        assert process.stdout is not None  # noqa: S101 - it was asked for above
        reading = asyncio.create_task(pump(process.stdout, output))
        await process.wait()
        await asyncio.wait([reading], timeout=1)  # its last words; a child of its own may keep the pipe open
        reading.cancel()
        if not self._killed:
            output(f"[WARNING] {self._exit_reason()}")
        self._api.stop(error("Runtime.ExitError", self._exit_reason()))
        self._on_exit(self)

    def _exit_reason(self) -> str:
        code = self._process.returncode if self._process else None
        if code is None:
            return "Runtime exited without providing a reason"
        how = f"exit status {code}" if code >= 0 else f"signal: {signal.Signals(-code).name}"
        return f"Runtime exited with error: {how}"
