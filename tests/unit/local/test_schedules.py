import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from local.cloudformation.resources import ScheduleSpec
from local.cloudformation.template import TemplateError
from local.schedules import first, keep_firing, period


def schedule(expression: str, text: str = "{}") -> ScheduleSpec:
    return ScheduleSpec(
        "tidy", "arn:aws:scheduler:eu-central-1:000000000000:schedule/default/tidy", "f", expression, text
    )


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [("rate(1 minute)", 60), ("rate(5 minutes)", 300), ("rate(1 hour)", 3600), ("rate(2 days)", 172_800)],
)
def test_a_rate_is_a_period(expression: str, seconds: int) -> None:
    assert period(schedule(expression)).total_seconds() == seconds
    now = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
    assert first(schedule(expression), now) == now


@pytest.mark.parametrize(
    ("expression", "now", "fires", "hours"),
    [
        ("cron(5 * * * ? *)", "2026-11-21T12:04:59", "2026-11-21T12:05:00", 1),
        ("cron(5 * * * ? *)", "2026-11-21T12:05:00", "2026-11-21T13:05:00", 1),
        ("cron(5 * * * ? *)", "2026-12-31T23:59:59", "2027-01-01T00:05:00", 1),
        ("cron(45 0 * * ? *)", "2026-11-21T00:00:00", "2026-11-21T00:45:00", 24),
        ("cron(45 0 * * ? *)", "2026-11-21T12:00:00", "2026-11-22T00:45:00", 24),
    ],
)
def test_a_cron_waits_for_its_minute(expression: str, now: str, fires: str, hours: int) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert first(schedule(expression), at) == datetime.fromisoformat(fires).replace(tzinfo=UTC)
    assert period(schedule(expression)) == timedelta(hours=hours)


@pytest.mark.parametrize(
    "expression",
    [
        "cron(0 12 1 * ? *)",
        "cron(*/5 * * * ? *)",
        "at(2026-01-01T00:00:00)",
        "rate(0 minutes)",
        "rate(1 week)",
        "rate(1 minute) ",
    ],
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
