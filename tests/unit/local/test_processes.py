import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from local import processes
from local.ports import answers, free_port
from local.processes import Child, ProcessError

SERVER = """
import signal, socket, sys, time
if sys.argv[2:] == ["stubborn"]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    listener.accept()[0].close()
"""


def child(folder: Path, *arguments: str, script: str = SERVER, stop_seconds: float = 5) -> Child:
    (folder / "server.py").write_text(script)
    port = free_port()
    return Child(
        "server",
        lambda: [sys.executable, str(folder / "server.py"), str(port), *arguments],
        ready=lambda: answers(port),
        environment={},
        stop_seconds=stop_seconds,
    )


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await asyncio.wait_for(test(), 30)

    asyncio.run(whole())


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.02)


def test_a_child_is_running_when_it_answers_and_gone_when_it_is_stopped(tmp_path: Path) -> None:
    async def test() -> None:
        subject = child(tmp_path)
        await subject.start()
        [pid] = subject.pids
        os.kill(pid, 0)
        await subject.stop()
        assert subject.pids == []
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    run(test)


def test_a_child_that_dies_is_started_again_and_again(tmp_path: Path) -> None:
    async def test() -> None:
        subject = child(tmp_path)
        await subject.start()
        try:
            for _ in range(2):
                [pid] = subject.pids
                os.kill(pid, signal.SIGKILL)
                await until(lambda before=pid: subject.pids and subject.pids != [before])
        finally:
            await subject.stop()

    run(test)


def test_a_child_that_ends_at_once_is_an_error(tmp_path: Path) -> None:
    async def test() -> None:
        subject = child(tmp_path, script="raise SystemExit(3)")
        with pytest.raises(ProcessError, match="exit status 3"):
            await subject.start()
        await subject.stop()

    run(test)


def test_a_child_that_never_answers_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "READY_SECONDS", 0.3)

    async def test() -> None:
        subject = child(tmp_path, script="import time; time.sleep(60)")
        with pytest.raises(ProcessError, match="did not answer"):
            await subject.start()
        await subject.stop()
        assert subject.pids == []

    run(test)


def test_a_child_that_does_not_want_to_end_is_killed(tmp_path: Path) -> None:
    async def test() -> None:
        subject = child(tmp_path, "stubborn", stop_seconds=0.2)
        await subject.start()
        await subject.stop()
        assert subject.pids == []

    run(test)


def test_what_comes_before_a_start_comes_before_every_start(tmp_path: Path) -> None:
    async def test() -> None:
        prepared: list[float] = []
        subject = child(tmp_path)
        subject._prepare = lambda: prepared.append(time.monotonic())
        await subject.start()
        os.kill(subject.pids[0], signal.SIGKILL)
        await until(lambda: len(prepared) == 2)
        await subject.stop()

    run(test)
