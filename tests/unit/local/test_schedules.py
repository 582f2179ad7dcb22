import asyncio
import json

import pytest

from local.cloudformation.resources import ScheduleSpec
from local.cloudformation.template import TemplateError
from local.schedules import keep_firing, period


def schedule(expression: str, text: str = "{}") -> ScheduleSpec:
    return ScheduleSpec(
        "tidy", "arn:aws:scheduler:eu-central-1:000000000000:schedule/default/tidy", "f", expression, text
    )


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [("rate(1 minute)", 60), ("rate(5 minutes)", 300), ("rate(1 hour)", 3600), ("rate(2 days)", 172_800)],
)
def test_a_rate_is_a_period(expression: str, seconds: int) -> None:
    assert period(schedule(expression)) == seconds


@pytest.mark.parametrize(
    "expression",
    ["cron(0 12 * * ? *)", "at(2026-01-01T00:00:00)", "rate(0 minutes)", "rate(1 week)", "rate(1 minute) "],
)
def test_any_other_expression_is_a_clear_error(expression: str) -> None:
    with pytest.raises(TemplateError, match="schedule tidy"):
        period(schedule(expression))


def test_it_fires_at_the_start_with_its_input_filled_in() -> None:
    fired: list[bytes] = []

    async def fire(_: ScheduleSpec, payload: bytes) -> None:
        fired.append(payload)

    async def watch() -> None:
        text = '{"job": "x", "by": "<aws.scheduler.schedule-arn>", "at": "<aws.scheduler.scheduled-time>"}'
        task = asyncio.create_task(keep_firing(schedule("rate(1 hour)", text), fire))
        while not fired:
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(watch())
    event = json.loads(fired[0])
    assert event["job"] == "x"
    assert event["by"].endswith(":schedule/default/tidy")
    assert event["at"].endswith("Z")
    assert len(fired) == 1
