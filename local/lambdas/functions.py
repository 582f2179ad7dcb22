"""A function: its processes, one for each invocation at a time, kept warm and reused as Lambda does."""

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from local.cloudformation.resources import FunctionSpec
from local.errors import LocalError
from local.lambdas.runtime_api import Invocation, Result, error
from local.lambdas.worker import Worker
from local.logs import Output

# Each process holds an interpreter (about 80 MB) and a database connection, and four of them busy keep two
# cores full; more only add switches between them. Beyond this, invocations wait instead of being throttled:
# the limit is this machine's, not an account's.
MAX_CONCURRENCY = 4
# A start costs about a second of a core; a busy process is mostly free again within a few ms. Lambda would
# start another one at once, but it does not take the core from those that work.
PATIENCE_SECONDS = 0.2
IDLE_SECONDS = 300  # Lambda keeps an idle environment for some minutes


class InitError(LocalError):
    """The process ended before it could take an invocation."""

    def __init__(self, function: str, result: Result) -> None:
        super().__init__(f"{function} does not start: {result.payload.decode(errors='replace')}")
        self.result = result


class Function:
    """Invokes one function of the template."""

    def __init__(
        self,
        spec: FunctionSpec,
        *,
        environment: Mapping[str, str],
        root: Path,
        limit: int,
        output: Output,
        niceness: int = 0,
    ) -> None:
        """`root` is where handler strings are rooted; at most `limit` processes at a time, of that niceness."""
        self.spec = spec
        self._environment = environment
        self._root = root
        self._limit = min(limit, spec.reserved_concurrency or limit)
        self._output = output
        self._niceness = niceness
        self._workers: set[Worker] = set()
        self._idle: list[Worker] = []  # the last one used is the first one taken: its caches are warm
        self._waiting: deque[tuple[float, asyncio.Future[Worker]]] = deque()  # and since when
        self._slot_freed = asyncio.Event()
        self._starts: set[asyncio.Task[None]] = set()
        self._running = 0
        self._closing = False

    @property
    def pids(self) -> list[int]:
        return sorted(worker.pid for worker in self._workers if worker.pid)

    @property
    def running(self) -> int:
        """Invocations under way or waiting for a process."""
        return self._running

    async def slot(self) -> None:
        """Wait until an invocation would not have to wait for another to end."""
        while self._running >= self._limit:
            self._slot_freed.clear()
            await self._slot_freed.wait()

    async def invoke(self, payload: bytes) -> Result:
        """Run the handler on `payload` (JSON). A failure is a result; nothing is raised for it."""
        self._running += 1
        request_id = str(uuid.uuid4())
        try:
            worker = await self._take()
            return await self._run(worker, request_id, payload)
        except InitError as failure:
            return failure.result
        finally:
            self._running -= 1
            self._slot_freed.set()

    async def warm(self, processes: int = 1) -> None:
        """Have one process ready, and others on their way. Raises InitError."""
        while len(self._workers) < min(processes, self._limit):
            self._add()
        self._release(await self._take())

    def reap(self) -> None:
        """End processes that were idle for IDLE_SECONDS."""
        longest = time.monotonic() - IDLE_SECONDS
        for worker in [worker for worker in self._idle if worker.idle_since < longest]:
            self._idle.remove(worker)
            worker.kill()

    async def close(self) -> None:
        """End every process now, whatever it is doing."""
        self._closing = True
        workers = list(self._workers)
        for worker in workers:
            worker.kill()
        await asyncio.gather(*self._starts)
        await asyncio.gather(*(worker.ended() for worker in workers))

    async def _run(self, worker: Worker, request_id: str, payload: bytes) -> Result:
        timeout = self.spec.timeout
        invocation = Invocation(request_id, payload, self.spec.arn, timeout)
        try:
            async with asyncio.timeout(timeout):
                return await worker.run(invocation)
        except TimeoutError:
            worker.kill()
            message = f"RequestId: {request_id} Error: Task timed out after {timeout:.2f} seconds"
            self._output(message)
            return error("Sandbox.Timedout", message)

    async def _take(self) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker in self._workers:
                return worker
        waiting: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        self._waiting.append((time.monotonic(), waiting))
        if self._workers:
            asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._scale)
        else:
            self._scale()
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled():
                self._release(waiting.result())
            raise

    def _scale(self) -> None:
        """Start one process more when somebody has waited too long, and none is being started already."""
        if self._closing or len(self._workers) >= self._limit or not all(worker.ready for worker in self._workers):
            return
        self._forget_cancelled()
        if not self._waiting or (self._workers and time.monotonic() - self._waiting[0][0] < PATIENCE_SECONDS):
            return
        self._add()

    def _add(self) -> None:
        worker = Worker(on_idle=self._release, on_exit=self._gone)
        self._workers.add(worker)
        self._starts.add(task := asyncio.create_task(self._start(worker)))
        task.add_done_callback(self._starts.discard)

    def _forget_cancelled(self) -> None:
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()

    async def _start(self, worker: Worker) -> None:
        try:
            await worker.start(
                self.spec.handler,
                environment=self._environment,
                root=self._root,
                output=self._output,
                niceness=self._niceness,
            )
        except OSError as failure:
            self._output(f"[ERROR] cannot start {self.spec.name}: {failure}")
            self._gone(worker)

    def _release(self, worker: Worker) -> None:
        """Give the worker to whoever has waited longest, or keep it for the next one."""
        self._forget_cancelled()
        if not self._waiting:
            self._idle.append(worker)
            return
        self._waiting.popleft()[1].set_result(worker)
        self._scale()

    def _gone(self, worker: Worker) -> None:
        self._workers.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        self._forget_cancelled()
        if self._closing:
            for _, waiting in self._waiting:
                waiting.cancel()
        elif self._waiting and not worker.ready:
            self._waiting.popleft()[1].set_exception(InitError(self.spec.name, worker.init_error))
        self._scale()
