"""EventBridge Scheduler's schedules, fired in this process as long as it runs."""

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from local.cloudformation.resources import ScheduleSpec
from local.cloudformation.template import TemplateError

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
_CRON = re.compile(r"cron\((\d{1,2}) (\*|\d{1,2}) \* \* \? \*\)")  # once an hour, or once a day

Fire = Callable[[ScheduleSpec, bytes], Awaitable[None]]


def first(schedule: ScheduleSpec, now: datetime) -> datetime:
    """When it fires first. A rate does at once. Raises TemplateError for what does not run here.

    A schedule on AWS never stops; one here stops with the machine. A rate catches up with what was due in between:
    retries, expired leases, messages that were never sent, partitions. What has its own minute waits for it.
    """
    if (cron := _CRON.fullmatch(schedule.expression)) is None:
        period(schedule)
        return now
    minute, hour = cron.groups()
    at = now.replace(minute=int(minute), second=0, microsecond=0)
    at = at if hour == "*" else at.replace(hour=int(hour))
    return at if at > now else at + period(schedule)


def period(schedule: ScheduleSpec) -> timedelta:
    """Between two firings. Raises TemplateError for an expression that does not run here."""
    if cron := _CRON.fullmatch(schedule.expression):
        return timedelta(hours=1 if cron.group(2) == "*" else 24)
    match = _RATE.fullmatch(schedule.expression)
    if match is None or match.group(1) == "0":
        raise TemplateError(
            f"schedule {schedule.name}: {schedule.expression} does not run here, only rate(…) and a cron(…) of"
            " each hour or day do"
        )
    return timedelta(seconds=int(match.group(1)) * _SECONDS[match.group(2)])


async def keep_firing(schedule: ScheduleSpec, fire: Fire) -> None:
    """Fire for the first time, and then once a period."""
    seconds = period(schedule).total_seconds()
    now = datetime.now(UTC)
    due = time.monotonic() + (first(schedule, now) - now).total_seconds()
    while True:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await fire(schedule, _input(schedule))
        due += seconds


def _input(schedule: ScheduleSpec) -> bytes:
    """The target's input with Scheduler's context attributes filled in."""
    values = {
        "<aws.scheduler.schedule-arn>": schedule.arn,
        "<aws.scheduler.scheduled-time>": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "<aws.scheduler.execution-id>": uuid.uuid4().hex,
        "<aws.scheduler.attempt-number>": "1",
    }
    text = schedule.input
    for name, value in values.items():
        text = text.replace(name, value)
    return text.encode()
