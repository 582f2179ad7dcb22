"""Lines of a function's output on their way to another function."""

import asyncio
import base64
import gzip
import json
from typing import Any

import pytest

from local.cloudformation.subscriptions import SubscriptionSpec
from local.lambdas import log_lines
from local.lambdas.log_lines import Subscription, tapped

SPEC = SubscriptionSpec(
    "metrics",
    "/aws/lambda/shop-work",
    "shop-metrics",
    frozenset({("metric", "requests"), ("metric", "operations")}),
)
WANTED, OTHER = '{"metric":"requests","n":1}', '{"message":"requests"}'


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "PAUSE_SECONDS", 0)


class Metrics:
    """A function that takes lines, when it is let."""

    def __init__(self, *, lets: bool = True) -> None:
        self.free = asyncio.Event()
        if lets:
            self.free.set()
        self.batches: list[dict[str, Any]] = []
        self.asked = 0

    async def __call__(self, function: str, payload: bytes) -> None:
        assert function == "shop-metrics"
        self.asked += 1
        await self.free.wait()
        packed = base64.b64decode(json.loads(payload)["awslogs"]["data"])
        self.batches.append(json.loads(gzip.decompress(packed)))

    @property
    def messages(self) -> list[str]:
        return [one["message"] for batch in self.batches for one in batch["logEvents"]]


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


def test_lines_that_are_wanted_come_as_cloudwatch_logs_sends_them() -> None:
    async def test() -> None:
        metrics = Metrics()
        subject = Subscription(SPEC, metrics)
        delivering = asyncio.create_task(subject.keep_delivering())
        for line in (WANTED, OTHER, "requests", '{"metric":"requests"', "[]", "{}"):
            subject.take(line)
        await until(lambda: metrics.batches)
        delivering.cancel()
        (batch,) = metrics.batches
        assert metrics.messages == [WANTED]
        assert (batch["messageType"], batch["logGroup"]) == ("DATA_MESSAGE", "/aws/lambda/shop-work")
        assert batch["subscriptionFilters"] == ["metrics"]
        assert batch["logEvents"][0]["timestamp"] > 1_700_000_000_000

    asyncio.run(test())


def test_whoever_writes_lines_waits_for_nobody_and_what_is_too_much_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_lines, "MOST_WAITING", 5)
    said: list[str] = []
    monkeypatch.setattr(log_lines, "say", lambda text, _level: said.append(text))

    async def test() -> None:
        metrics, lines = Metrics(lets=False), list[str]()
        subject = Subscription(SPEC, metrics)
        output = tapped(lines.append, [subject])
        delivering = asyncio.create_task(subject.keep_delivering())
        output(WANTED)
        await until(lambda: metrics.asked)
        for _ in range(12):
            output(WANTED)
        output(OTHER)
        assert (lines, subject.dropped) == ([OTHER], 7)
        metrics.free.set()
        await until(lambda: len(metrics.messages) == 6)
        delivering.cancel()
        assert said == ["7 lines for shop-metrics were dropped: it is too slow"]

    asyncio.run(test())


def test_a_long_backlog_goes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "AT_ONCE", 4)

    async def test() -> None:
        metrics = Metrics()
        subject = Subscription(SPEC, metrics)
        for n in range(10):
            subject.take(f'{{"metric":"operations","n":{n}}}')
        await subject.finish(10)
        assert [len(batch["logEvents"]) for batch in metrics.batches] == [4, 4, 2]
        assert [json.loads(one)["n"] for one in metrics.messages] == list(range(10))
        ids = [one["id"] for batch in metrics.batches for one in batch["logEvents"]]
        assert sorted(set(ids)) == ids

    asyncio.run(test())


def test_the_end_does_not_wait_for_a_function_that_hangs() -> None:
    async def test() -> None:
        subject = Subscription(SPEC, Metrics(lets=False))
        subject.take(WANTED)
        await asyncio.wait_for(subject.finish(0.01), 10)

    asyncio.run(test())


def test_lines_of_cloudwatch_s_own_metrics_are_seen_by_people_too() -> None:
    lines: list[str] = []
    said = '{"metric":"requests","_aws":{}}'
    subject = Subscription(SPEC, Metrics())
    output = tapped(lines.append, [subject])
    output(said)
    assert lines == [said]


def test_without_subscriptions_an_output_is_as_it_was() -> None:
    output = list[str]().append
    assert tapped(output, []) is output
