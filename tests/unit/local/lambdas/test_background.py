import asyncio
from pathlib import Path

import pytest

from local.lambdas import background
from local.lambdas.background import Background
from local.lambdas.runtime_api import Result
from tests.unit.local.workers import running, spec


class Flaky:
    """A function that fails a number of times."""

    def __init__(self, failures: int, retries: int) -> None:
        self.spec = spec(async_retries=retries)
        self.left = failures
        self.invocations = 0

    async def invoke(self, _: bytes) -> Result:
        self.invocations += 1
        self.left -= 1
        return Result(b"{}", failed=self.left >= 0)


async def run(function: Flaky) -> int:
    subject = Background()
    subject.invoke(function, b"{}")
    while subject._tasks:
        await asyncio.sleep(0)
    return function.invocations


@pytest.mark.parametrize(("failures", "retries", "invocations"), [(0, 2, 1), (1, 2, 2), (5, 2, 3), (5, 0, 1)])
def test_a_failed_invocation_is_tried_again_as_the_template_says(
    failures: int, retries: int, invocations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "RETRY_SECONDS", (0, 0))
    assert asyncio.run(run(Flaky(failures, retries))) == invocations


def test_stopping_does_not_wait_for_another_try() -> None:
    async def test() -> None:
        subject, function = Background(), Flaky(1, 2)
        subject.invoke(function, b"{}")
        while function.invocations == 0:
            await asyncio.sleep(0)
        await asyncio.wait_for(subject.stop(60), 5)
        assert function.invocations == 1

    asyncio.run(test())


def test_stopping_lets_what_runs_end(tmp_path: Path) -> None:
    marker = tmp_path / "go"

    async def test() -> None:
        async with running(tmp_path) as function:
            await function.warm()
            subject = Background()
            subject.invoke(function, f'{{"wait_for": "{marker}"}}'.encode())
            while function.running == 0:
                await asyncio.sleep(0)
            stopping = asyncio.create_task(subject.stop(30))
            await asyncio.sleep(0.05)
            assert not stopping.done()
            marker.touch()
            await stopping

    asyncio.run(asyncio.wait_for(test(), 30))
