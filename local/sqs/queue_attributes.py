"""A queue's attributes as strings, the way the API has them, and the settings they stand for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from local.sqs.errors import (
    INVALID_ATTRIBUTE_NAME,
    INVALID_ATTRIBUTE_VALUE,
    UNSUPPORTED_OPERATION,
    SqsError,
    invalid_value,
)

MAX_MESSAGE_BYTES = 1_048_576  # 1 MiB, body and attributes together; also a whole batch (message quotas)

# Bounds and defaults as documented for SetQueueAttributes; times in seconds, sizes in bytes.
RANGES: Mapping[str, tuple[int, int]] = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1_024, MAX_MESSAGE_BYTES),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
}
DEFAULTS: Mapping[str, str] = {
    "DelaySeconds": "0",
    "MaximumMessageSize": str(MAX_MESSAGE_BYTES),
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "VisibilityTimeout": "30",
    "SqsManagedSseEnabled": "true",
}
# Kept and shown, without effect here: there is no encryption and nobody to refuse.
_INERT = frozenset({"Policy", "KmsMasterKeyId", "RedriveAllowPolicy", "SqsManagedSseEnabled"})
_SETTABLE = _INERT | RANGES.keys() | {"RedrivePolicy"}
_ERASED_BY_EMPTY = frozenset({"Policy", "KmsMasterKeyId", "RedriveAllowPolicy", "RedrivePolicy"})
_FIFO = frozenset(
    {"FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"},
)
READABLE = _SETTABLE | {
    "QueueArn",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
}


@dataclass(frozen=True, slots=True)
class Redrive:
    """Where a message goes instead of being received once more than `max_receives` times."""

    target_arn: str
    max_receives: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What the attributes mean to the queue; times in ms, sizes in bytes."""

    delay: int
    max_bytes: int
    retention: int
    wait: int
    visibility: int
    redrive: Redrive | None


def settings_of(attributes: Mapping[str, str]) -> Settings:
    """Settings from valid attributes, with defaults for the missing ones."""
    have = {**DEFAULTS, **attributes}
    return Settings(
        delay=int(have["DelaySeconds"]) * 1000,
        max_bytes=int(have["MaximumMessageSize"]),
        retention=int(have["MessageRetentionPeriod"]) * 1000,
        wait=int(have["ReceiveMessageWaitTimeSeconds"]) * 1000,
        visibility=int(have["VisibilityTimeout"]) * 1000,
        redrive=redrive_of(have.get("RedrivePolicy", "")),
    )


def merged(current: Mapping[str, str], changes: Mapping[str, str]) -> dict[str, str]:
    """The attributes after a change.

    Raises SqsError for unknown names, values out of range and anything that only a FIFO queue has.
    """
    for name, value in changes.items():
        _check(name, value)
    kept = {**current, **changes}
    if changes.get("KmsMasterKeyId"):
        kept["SqsManagedSseEnabled"] = "false"  # a queue has one kind of encryption
    return {name: value for name, value in kept.items() if value or name not in _ERASED_BY_EMPTY}


def redrive_of(policy: str) -> Redrive | None:
    """The redrive policy's meaning; an empty one means none. Raises SqsError when it is malformed."""
    if not policy:
        return None
    try:
        fields = json.loads(policy)
        target, receives = fields["deadLetterTargetArn"], int(fields["maxReceiveCount"])
    except (ValueError, TypeError, KeyError) as error:
        reason = "It must be JSON with deadLetterTargetArn and maxReceiveCount."
        raise invalid_value("RedrivePolicy", policy, reason) from error
    if not isinstance(target, str) or target.count(":") != 5:
        raise invalid_value("RedrivePolicy", policy, "Invalid value for deadLetterTargetArn.")
    if not 1 <= receives <= 1000:
        raise invalid_value("RedrivePolicy", policy, f"Invalid value for maxReceiveCount: {receives}, {_RECEIVES}")
    return Redrive(target, receives)


_RECEIVES = "valid values are from 1 to 1000 both inclusive."


def _check(name: str, value: str) -> None:
    if name in _FIFO:
        raise SqsError(UNSUPPORTED_OPERATION, f"{name}: this emulator has standard queues only, no FIFO queues.")
    if name not in _SETTABLE:
        raise SqsError(INVALID_ATTRIBUTE_NAME, f"Unknown Attribute {name}.")
    if not isinstance(value, str) or (name in RANGES and not _in_range(value, *RANGES[name])):
        raise SqsError(INVALID_ATTRIBUTE_VALUE, f"Invalid value for the parameter {name}.")
    if name == "RedrivePolicy":
        redrive_of(value)


def _in_range(value: str, low: int, high: int) -> bool:
    return value.isascii() and value.isdecimal() and low <= int(value) <= high
