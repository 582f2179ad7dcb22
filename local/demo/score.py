"""Where things stand: what was sent, joined with what the receiver has of it."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from local.demo.traffic import Sent
from local.demo.webhooks import Webhook
from local.receiver.client import Received


@dataclass(frozen=True)
class Score:
    """One webhook's. Latencies, in ms, are from the event's request to its first arrival, retries apart."""

    webhook: Webhook
    expected: int
    delivered: int
    refused: int
    retried: int
    duplicates: int
    bad_signatures: int
    latencies_ms: tuple[float, ...]
    missing: tuple[str, ...]  # event ids

    @property
    def is_complete(self) -> bool:
        return self.delivered == self.expected

    @property
    def verified(self) -> int:
        """Requests with a valid signature."""
        return self.delivered + self.duplicates + self.refused


def score(
    webhook: Webhook, sent: Mapping[str, Sent], received: Mapping[str, Received], *, bad_signatures: int
) -> Score:
    """Only of what this run sent: the webhook may get other events, and those of an earlier run."""
    expected = {event_id: event for event_id, event in sent.items() if webhook.plan.wants(event.type)}
    here = {event_id: received[event_id] for event_id in expected if event_id in received}
    return Score(
        webhook=webhook,
        expected=len(expected),
        delivered=sum(one.accepted > 0 for one in here.values()),
        refused=sum(one.refused for one in here.values()),
        retried=sum(one.refused > 0 and one.accepted > 0 for one in here.values()),
        duplicates=sum(max(one.accepted - 1, 0) for one in here.values()),
        bad_signatures=bad_signatures,
        latencies_ms=tuple((one.first_ns - expected[event_id].sent_ns) / 1e6 for event_id, one in here.items()),
        missing=tuple(event_id for event_id in expected if event_id not in here or not here[event_id].accepted),
    )


def percentile(values: tuple[float, ...], percent: int) -> float | None:
    """None when there are too few to say."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else None


@dataclass(frozen=True)
class Progress:
    """`sent` events of `total`, and what came of them so far."""

    sent: int
    total: int
    scores: tuple[Score, ...]

    @property
    def is_complete(self) -> bool:
        return self.sent == self.total and all(one.is_complete for one in self.scores)

    def sum(self, figure: Callable[[Score], int]) -> int:
        return sum(figure(one) for one in self.scores)

    @property
    def latencies_ms(self) -> tuple[float, ...]:
        return tuple(latency for one in self.scores for latency in one.latencies_ms)
