"""After a run: what was accepted, what the database says, and what the endpoints saw, held against each other.

Each check answers a list of findings, in words that name the event and the delivery; an empty list is the proof.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from tests.faults.endpoints import Received
from tests.faults.run import Outcome
from tests.faults.traffic import GONE, STRICT, WISHES, event

SHOWN = 20  # findings of a check that are told one by one
DELIVERIES = """
SELECT d.id, d.event_id, w.name, d.status, d.token, d.attempts, d.max_attempts, d.sweep_at IS NOT NULL,
  d.failed_at IS NOT NULL, d.lease_expires_at IS NOT NULL, d.delivered_at IS NOT NULL, d.last_error_code
FROM webhook.webhook_deliveries d JOIN webhook.webhooks w ON w.id = d.webhook_id
WHERE d.project_id = CAST(:project AS uuid) AND d.event_type NOT LIKE 'hookline.%'
"""
EVENTS = """
SELECT id, external_id, webhooks_matched FROM webhook.webhook_events
WHERE project_id = CAST(:project AS uuid) AND type NOT LIKE 'hookline.%'
"""
ATTEMPTS = """
SELECT delivery_id, attempt_number, response_status FROM webhook.webhook_delivery_attempts
WHERE project_id = CAST(:project AS uuid)
"""
LETTERS = """
SELECT delivery_id, status, sweep_at IS NOT NULL FROM webhook.webhook_dlq WHERE project_id = CAST(:project AS uuid)
"""


class Delivery(NamedTuple):
    id: str
    event_id: str
    webhook: str  # its name
    status: str
    token: int
    attempts: int
    max_attempts: int
    swept: bool
    failed: bool
    leased: bool
    delivered: bool
    error: str | None


class Attempt(NamedTuple):
    delivery_id: str
    number: int
    status: int | None


@dataclass
class Books:
    """The three views of a run."""

    outcome: Outcome

    @cached_property
    def accepted(self) -> dict[int, str]:
        """Event number → event id, as the callers were told."""
        return self.outcome.accepted.ids

    @cached_property
    def deliveries(self) -> list[Delivery]:
        return [Delivery(*map(_plain, row)) for row in self._rows(DELIVERIES)]

    @cached_property
    def events(self) -> dict[str, tuple[str, int]]:
        """Event id → the caller's id and how many webhooks wanted it, as the database has it."""
        return {str(id): (external, matched) for id, external, matched in self._rows(EVENTS)}

    @cached_property
    def attempts(self) -> dict[str, list[Attempt]]:
        found: dict[str, list[Attempt]] = defaultdict(list)
        for row in self._rows(ATTEMPTS):
            attempt = Attempt(*map(_plain, row))
            found[attempt.delivery_id].append(attempt)
        return found

    @cached_property
    def letters(self) -> dict[str, list[tuple[str, bool]]]:
        """Delivery id → status of its dead letters, and whether dispatch is still to send them."""
        found: dict[str, list[tuple[str, bool]]] = defaultdict(list)
        for delivery, status, swept in self._rows(LETTERS):
            found[str(delivery)].append((status, swept))
        return found

    @cached_property
    def requests(self) -> dict[str, list[Received]]:
        """Delivery id → its requests at the endpoint, in the order in which they came."""
        found: dict[str, list[Received]] = defaultdict(list)
        for received in self.outcome.received:
            found[received.delivery_id].append(received)
        return found

    def _rows(self, statement: str) -> list[list[Any]]:
        return self.outcome.database.rows(statement, project=self.outcome.project.id)


def lost(books: Books) -> Iterator[str]:
    """Every accepted event has one delivery to each webhook that it matches, and no other; it ended."""
    by_event: dict[str, Counter[str]] = defaultdict(Counter)
    for delivery in books.deliveries:
        by_event[delivery.event_id][delivery.webhook] += 1
    for number, id in books.accepted.items():
        sent = event(books.outcome.options.seed, number)
        if id not in books.events:
            yield f"event {number} ({id}) was accepted and is not there"
            continue
        wanted = {wish.name for wish in WISHES if wish.wants(sent)}
        found = by_event[id]
        # While its endpoint was gone that webhook was disabled, and wanted nothing.
        if set(found) != wanted and set(found) != wanted - {GONE.name}:
            yield f"event {number} ({id}) is for {sorted(wanted)} and has deliveries to {sorted(found)}"
        if (matched := books.events[id][1]) != found.total():
            yield f"event {number} ({id}) matched {matched} webhooks and has {found.total()} deliveries"
        yield from (f"event {number} ({id}): {n} deliveries to {name}" for name, n in found.items() if n > 1)


def stuck(books: Books) -> Iterator[str]:
    """Every delivery ended delivered or failed, with nothing left to do; the failed have a pending dead letter."""
    yield from (f"still under way: {row}" for row in books.outcome.unfinished)
    for one in books.deliveries:
        letters = [status for status, _ in books.letters.get(one.id, [])]
        pending = letters.count("pending")
        if one.status == "delivered" and (one.swept or one.failed or one.leased or not one.delivered or pending):
            yield f"delivered, and yet something is left: {one}, dead letters {letters}"
        if one.status == "failed" and (one.swept or not one.failed or one.leased or pending != 1):
            yield f"failed, but not as a dead letter: {one}, dead letters {letters}"
        if one.status not in ("delivered", "failed"):
            yield f"neither delivered nor failed: {one}"
        if one.attempts > one.max_attempts:
            yield f"more attempts than allowed: {one}"
    for id, of_it in books.letters.items():
        yield from (f"the dead letter of {id} never reached its queue" for _, swept in of_it if swept)


def unknown(books: Books) -> Iterator[str]:
    """Nothing is in the database or at an endpoint that nobody sent."""
    known = set(books.accepted.values())
    yield from (f"event {id} ({row[0]}) was never accepted" for id, row in books.events.items() if id not in known)
    deliveries = {one.id: one for one in books.deliveries}
    for received in books.outcome.received:
        one = deliveries.get(received.delivery_id)
        if not received.genuine:
            yield f"a bad signature at {received}"
        elif one is None and received.endpoint != "operator":
            yield f"no such delivery: {received}"
        elif one is not None and (received.webhook_id, received.endpoint) != (one.event_id, one.webhook):
            yield f"{received} is of {one}"


def views(books: Books) -> Iterator[str]:
    """What the database says an endpoint answered, that endpoint answered; what it took is delivered."""
    for one in books.deliveries:
        seen = books.requests.get(one.id, [])
        recorded = books.attempts.get(one.id, [])
        answered = Counter((a.number, a.status) for a in recorded if a.status is not None)
        really = Counter((received.attempt, received.status) for received in seen)
        if answered - really:
            yield f"{one}: recorded and never seen: {dict(answered - really)}"
        if one.status == "delivered" and not any(received.taken for received in seen):
            yield f"{one} is delivered, and its endpoint never took it"
        if one.status == "delivered" and not any(
            a.status is not None and 200 <= a.status <= 299 for a in recorded
        ):
            yield f"{one} is delivered without an attempt that says so"
        if one.status == "failed" and any(received.taken for received in seen):
            yield f"{one} failed, and its endpoint took it"
        if len(recorded) < one.attempts:
            yield f"{one} has {len(recorded)} recorded attempts"


def duplicates(books: Books) -> Iterator[str]:
    """Repetitions carry the same webhook-id and the same bytes, and are no more than the faults that make them."""
    for one in books.deliveries:
        seen = books.requests.get(one.id, [])
        if len({(received.webhook_id, received.digest) for received in seen}) > 1:
            yield f"{one} came with different ids or bytes: {seen}"
        unrecorded = len(seen) - len(books.attempts.get(one.id, []))
        if unrecorded > books.outcome.all_faults:
            yield f"{one} came {unrecorded} times more than was recorded, and there were fewer faults"


def order(books: Books) -> Iterator[str]:
    """The strict webhook's endpoint first saw its events in the order in which they were sent."""
    numbers = {id: number for number, id in books.accepted.items()}
    latest, seen = -1, set()
    for received in books.outcome.received:
        number = numbers.get(received.webhook_id)
        if received.endpoint != STRICT.name or number is None or number in seen:
            continue
        seen.add(number)
        if number < latest:
            yield f"event {number} first came after event {latest}"
        latest = max(latest, number)


def late_repetitions(books: Books) -> int:
    """How often the strict webhook's endpoint saw an event again after a later one.

    An invocation that outlived its lease, because the clock jumped, may do so: there is nothing that ends it.
    """
    numbers = {id: number for number, id in books.accepted.items()}
    latest, late = -1, 0
    for received in books.outcome.received:
        number = numbers.get(received.webhook_id)
        if received.endpoint == STRICT.name and number is not None:
            late += number < latest
            latest = max(latest, number)
    return late


def repeated(books: Books) -> dict[str, int]:
    """By endpoint how many requests were answered with 2xx although an earlier one of that delivery was."""
    found: Counter[str] = Counter()
    for seen in books.requests.values():
        taken = sum(received.taken for received in seen)
        found[seen[0].endpoint] += max(0, taken - 1)
    return dict(found)


def report(books: Books) -> str:
    """The run in figures."""
    outcome = books.outcome
    states = Counter(one.status for one in books.deliveries)
    again = repeated(books)
    attempts = sum(map(len, books.attempts.values()))
    most = max((sum(r.taken for r in seen) for seen in books.requests.values()), default=0)
    lines = [
        f"seed {outcome.options.seed}, {sum(outcome.seconds.values()):.0f} s: "
        + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in outcome.seconds.items()),
        f"{len(books.accepted):,} events accepted, {outcome.accepted.sent_again:,} requests sent again by callers",
        f"{len(books.deliveries):,} deliveries: "
        + ", ".join(f"{count:,} {status}" for status, count in sorted(states.items())),
        f"{len(outcome.received):,} requests at the endpoints, {attempts:,} attempts recorded",
        f"{sum(again.values()):,} duplicates, one event at most {most} times: "
        + ", ".join(f"{name} {count:,}" for name, count in sorted(again.items()) if count),
        f"{late_repetitions(books):,} late repetitions at the strict webhook",
        f"queue messages: {', '.join(f'{count:,} {what}' for what, count in outcome.meddled.items())}",
        f"{outcome.left_after_patience:,} were left after {outcome.options.patience:.0f} s without faults;"
        f" the functions' clock was then put on {outcome.clock_steps} times",
        f"{outcome.all_faults:,} faults:",
        *(f"  {count:>5} {name}" for name, count in sorted({**outcome.faults, **outcome.fired}.items())),
    ]
    return "\n".join(lines)


def told(findings: Iterator[str]) -> str:
    """Findings for a failing test; empty when there are none."""
    found = list(findings)
    rest = len(found) - SHOWN
    return "\n".join([*found[:SHOWN], *([f"… and {rest} more"] if rest > 0 else [])])


def _plain(value: object) -> Any:
    return value if isinstance(value, int | str | None) else str(value)
