"""The bodies of queue messages: up to 100 deliveries to make, or one dead letter on its way to the DLQ; and on the
queues of their own, the next batch of a background job and a change event to scrape again."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from functions.domain.ids import parse_uuid

VERSION = 1
DELIVERIES_PER_MESSAGE = 100  # one claim statement; 5 KB, far below what SQS bills as one request (64 KB)


class ForeignMessageError(Exception):
    """A message that Hookline did not write. It goes to the DLQ by itself."""


@dataclass(frozen=True)
class Deliveries:
    """Deliveries to make, each with the token its row had when the message was written."""

    tokens: dict[str, int]


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter whose message is to die through the redrive policy, or comes back from there."""

    id: str
    token: int


@dataclass(frozen=True)
class Job:
    """A background job whose next batch is to be done, while its row has this token."""

    id: str
    token: int


@dataclass(frozen=True)
class Rescrape:
    """A change event whose page is to be scraped again, while its row has this token."""

    id: str
    token: int


def pack(deliveries: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Bodies for these (delivery id, token) pairs."""
    for start in range(0, len(deliveries), DELIVERIES_PER_MESSAGE):
        yield _body(deliveries=deliveries[start : start + DELIVERIES_PER_MESSAGE])


def dead(letter: DeadLetter) -> str:
    return _body(dead=letter.id, token=letter.token)


def job(one: Job) -> str:
    return _body(job=one.id, token=one.token)


def rescrape(one: Rescrape) -> str:
    return _body(rescrape=one.id, token=one.token)


def parse(body: str) -> Deliveries | DeadLetter:
    """What a message says. Raises ForeignMessageError for whatever `pack` and `dead` do not write."""
    try:
        match json.loads(body):
            case {"v": 1, "deliveries": [*pairs]} if pairs:
                return Deliveries({_uuid(key): _token(token) for key, token in pairs})
            case {"v": 1, "dead": key, "token": token}:
                return DeadLetter(_uuid(key), _token(token))
    except (ValueError, TypeError, RecursionError) as error:
        raise ForeignMessageError(f"not a message of ours: {error}") from error
    raise ForeignMessageError("not a message of ours: neither deliveries nor a dead letter")


def parse_job(body: str) -> Job:
    """What a message of the jobs queue says. Raises ForeignMessageError for whatever `job` does not write."""
    try:
        match json.loads(body):
            case {"v": 1, "job": key, "token": token}:
                return Job(_uuid(key), _token(token))
    except (ValueError, TypeError, RecursionError) as error:
        raise ForeignMessageError(f"not a message of ours: {error}") from error
    raise ForeignMessageError("not a message of ours: no job")


def parse_rescrape(body: str) -> Rescrape:
    """What a message of the rescrape queue says. Raises ForeignMessageError for what `rescrape` does not write."""
    try:
        match json.loads(body):
            case {"v": 1, "rescrape": key, "token": token}:
                return Rescrape(_uuid(key), _token(token))
    except (ValueError, TypeError, RecursionError) as error:
        raise ForeignMessageError(f"not a message of ours: {error}") from error
    raise ForeignMessageError("not a message of ours: no rescrape")


def _body(**content: object) -> str:
    return json.dumps({"v": VERSION, **content}, separators=(",", ":"))


def _uuid(value: object) -> str:
    if isinstance(value, str) and parse_uuid(value):
        return value
    raise ValueError(f"{value!r:.80} is not an id")


def _token(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 31:
        return value
    raise ValueError(f"{value!r:.80} is not a token")
