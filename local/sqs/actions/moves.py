"""Actions on message move tasks."""

from typing import Any

from local.sqs.actions.fields import Fields, number, optional_text, text
from local.sqs.actions.service import Service
from local.sqs.move_tasks import FAILED, REMEMBERED, RUNNING, MoveTask

MAX_RATE = 500  # messages per second


def start_message_move_task(service: Service, fields: Fields) -> dict[str, Any]:
    reason = f"Must be between 1 and {MAX_RATE}, if provided."
    rate = number(fields, "MaxNumberOfMessagesPerSecond", 1, MAX_RATE, reason)
    task = service.moves.start(text(fields, "SourceArn"), optional_text(fields, "DestinationArn"), rate)
    return {"TaskHandle": task.handle}


def list_message_move_tasks(service: Service, fields: Fields) -> dict[str, Any]:
    reason = f"Must be between 1 and {REMEMBERED}, if provided."
    limit = number(fields, "MaxResults", 1, REMEMBERED, reason) or 1
    tasks = service.moves.of_source(text(fields, "SourceArn"))
    return {"Results": [_shown(task) for task in tasks[:limit]]}


def cancel_message_move_task(service: Service, fields: Fields) -> dict[str, Any]:
    task = service.moves.cancel(text(fields, "TaskHandle"))
    return {"ApproximateNumberOfMessagesMoved": task.moved}


def _shown(task: MoveTask) -> dict[str, Any]:
    shown = {
        "TaskHandle": task.handle if task.status == RUNNING else None,
        "Status": task.status,
        "SourceArn": task.source_arn,
        "DestinationArn": task.destination_arn,
        "MaxNumberOfMessagesPerSecond": task.rate,
        "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.to_move,
        "FailureReason": task.failure if task.status == FAILED else None,
        "StartedTimestamp": task.started_at,
    }
    return {name: value for name, value in shown.items() if value is not None}
