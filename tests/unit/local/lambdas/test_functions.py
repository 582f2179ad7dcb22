import asyncio
import json
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest

from local.lambdas import functions
from local.lambdas.functions import Function, InitError
from local.lambdas.runtime_api import RESPONSE_BYTES, Result
from tests.unit.local.workers import running, spec


async def invoke(function: Function, **event: Any) -> Any:
    """The handler's answer to this event."""
    result = await function.invoke(json.dumps(event).encode())
    assert not result.failed, result
    return json.loads(result.payload)


async def failure(function: Function, **event: Any) -> dict[str, Any]:
    result: Result = await function.invoke(json.dumps(event).encode())
    assert result.failed, result
    described: dict[str, Any] = json.loads(result.payload)
    return described


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


def test_a_handler_runs_in_lambda_s_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")

    async def test() -> None:
        async with running(tmp_path) as function:
            answer = await invoke(function, a="ä", big="x" * 2_000_000)
            assert answer["event"]["a"] == "ä"
            assert len(answer["event"]["big"]) == 2_000_000
            assert answer["environment"]["STAGE"] == "dev"
            assert answer["environment"]["AWS_LAMBDA_FUNCTION_NAME"] == "shop-work"
            assert "AWS_PROFILE" not in answer["environment"]
            assert answer["arn"].endswith(":function:shop-work")
            assert 9_000 < answer["remaining_ms"] <= 10_000
            assert len(answer["request_id"]) == 36

    run(test())


def test_a_process_is_used_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as function:
            first = await invoke(function)
            second = await invoke(function)
            assert first["pid"] == second["pid"] == function.pids[0]
            assert first["request_id"] != second["request_id"]

    run(test())


def test_each_invocation_at_a_time_has_a_process_up_to_the_limit(tmp_path: Path) -> None:
    lines: list[str] = []

    async def test() -> None:
        async with running(tmp_path, limit=2, lines=lines) as function:
            gate = tmp_path / "gate"
            event = {"print": "started", "wait_for": str(gate)}
            waiting = [asyncio.create_task(invoke(function, **event)) for _ in range(3)]
            while lines.count("started") < 2:
                await asyncio.sleep(0.01)
            assert function.running == 3
            full = asyncio.create_task(function.slot())
            await asyncio.sleep(0.1)
            assert len(function.pids) == 2
            assert lines.count("started") == 2
            assert not full.done()
            gate.touch()
            answers = await asyncio.gather(*waiting)
            assert len({answer["pid"] for answer in answers}) == 2
            await full

    run(test())


def test_reserved_concurrency_limits_it_further(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, spec(reserved_concurrency=1), limit=4) as function:
            answers = await asyncio.gather(*(invoke(function, sleep=0.05) for _ in range(3)))
            assert len({answer["pid"] for answer in answers}) == 1

    run(test())


def test_an_exception_is_a_failed_result_and_the_process_goes_on(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as function:
            before = (await invoke(function))["pid"]
            described = await failure(function, **{"raise": "no"})
            assert (described["errorType"], described["errorMessage"]) == ("ValueError", "no")
            assert (await invoke(function))["pid"] == before

    run(test())


@pytest.mark.parametrize(("event", "how"), [({"die": 1}, "signal: SIGKILL"), ({"exit": 3}, "exit status 3")])
def test_a_crash_is_a_failed_result_and_the_next_process_is_new(
    event: dict[str, int], how: str, tmp_path: Path
) -> None:
    async def test() -> None:
        async with running(tmp_path) as function:
            before = (await invoke(function))["pid"]
            described = await failure(function, **event)
            assert described["errorType"] == "Runtime.ExitError"
            assert how in described["errorMessage"]
            assert (await invoke(function))["pid"] != before

    run(test())


def test_a_timeout_ends_the_process(tmp_path: Path) -> None:
    lines: list[str] = []

    async def test() -> None:
        async with running(tmp_path, spec(timeout=1), lines=lines) as function:
            before = (await invoke(function))["pid"]
            described = await failure(function, sleep=30)
            assert described["errorType"] == "Sandbox.Timedout"
            assert "Task timed out after 1.00 seconds" in described["errorMessage"]
            assert (await invoke(function))["pid"] != before
            assert not psutil.pid_exists(before) or psutil.Process(before).status() == psutil.STATUS_ZOMBIE

    run(test())
    assert any("timed out" in line for line in lines)


def test_a_process_killed_while_idle_is_replaced(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as function:
            before = (await invoke(function))["pid"]
            os.kill(before, signal.SIGKILL)
            while function.pids:
                await asyncio.sleep(0.01)
            assert (await invoke(function))["pid"] != before

    run(test())


def test_a_response_that_is_too_large_is_a_failed_result(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as function:
            assert (await failure(function, large=RESPONSE_BYTES))["errorType"] == "Function.ResponseSizeTooLarge"
            assert (await function.invoke(json.dumps({"large": RESPONSE_BYTES - 2}).encode())).failed is False

    run(test())


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        ("nowhere.handler", "ImportModuleError"),
        ("handlers.nothing", "HandlerNotFound"),
        ("broken.handler", "ZeroDivision"),
    ],
)
def test_a_handler_that_does_not_load_fails_every_invocation(handler: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")

    async def test() -> None:
        async with running(tmp_path, spec(handler), limit=2) as function:
            failures = await asyncio.gather(*(failure(function) for _ in range(5)))
            assert all(reason in described["errorType"] for described in failures)
            with pytest.raises(InitError, match=reason):
                await function.warm()

    run(test())


def test_idle_processes_end_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with running(tmp_path) as function:
            await function.warm()
            function.reap()
            assert len(function.pids) == 1
            monkeypatch.setattr(functions, "IDLE_SECONDS", -1)
            function.reap()
            while function.pids:
                await asyncio.sleep(0.01)
            await invoke(function)

    run(test())


def test_output_is_passed_on_by_line(tmp_path: Path) -> None:
    lines: list[str] = []

    async def test() -> None:
        async with running(tmp_path, lines=lines) as function:
            await invoke(function, print="one\ntwo")
            while "two" not in lines:
                await asyncio.sleep(0.01)

    run(test())
    assert lines[:2] == ["one", "two"]


def test_a_busy_process_is_waited_for_before_another_one_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functions, "PATIENCE_SECONDS", 60)

    async def test() -> None:
        async with running(tmp_path, limit=4) as function:
            await function.warm()
            answers = await asyncio.gather(*(invoke(function) for _ in range(20)))
            assert {answer["pid"] for answer in answers} == set(function.pids)
            assert len(function.pids) == 1

    run(test())


def test_closing_leaves_no_process(tmp_path: Path) -> None:
    lines: list[str] = []

    async def test() -> list[int]:
        async with running(tmp_path, limit=2, lines=lines) as function:
            busy = asyncio.create_task(function.invoke(b'{"print": "started", "sleep": 60}'))
            while "started" not in lines:
                await asyncio.sleep(0.01)
            await function.warm()
            pids = function.pids
        assert (await busy).failed
        return pids

    pids = asyncio.run(asyncio.wait_for(test(), 30))
    assert len(pids) == 2
    assert not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]


def test_closing_ends_a_process_that_is_just_being_started(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as function:
            asked = asyncio.create_task(function.invoke(b"{}"))
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert function.pids == []

    run(test())
