"""EventBridge Scheduler's schedules, fired in this process as long as it runs."""

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable

from local.cloudformation.resources import ScheduleSpec
from local.cloudformation.template import TemplateError

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}

Fire = Callable[[ScheduleSpec, bytes], Awaitable[None]]


def period(schedule: ScheduleSpec) -> int:
    """Seconds between two firings. Raises TemplateError for an expression that does not run here."""
    match = _RATE.fullmatch(schedule.expression)
    if match is None or match.group(1) == "0":
        raise TemplateError(
            f"schedule {schedule.name}: {schedule.expression} does not run here, only rate(…) does"
        )
    return int(match.group(1)) * _SECONDS[match.group(2)]


async def keep_firing(schedule: ScheduleSpec, fire: Fire) -> None:
    """Fire now and then once a period.

    A schedule on AWS never stops; one here stops with the machine. The firing at the start catches up with
    what fell due in between: retries, expired leases, messages that were never sent, partitions.
    """
    seconds = period(schedule)
    due = time.monotonic()
    while True:
        await fire(schedule, _input(schedule))
        due += seconds
        await asyncio.sleep(max(0.0, due - time.monotonic()))


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
