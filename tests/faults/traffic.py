"""What a run sends, and to whom: its events follow from the seed, and which webhooks each has to match."""

import random
from dataclasses import dataclass, field
from typing import Any

LOTS = 100  # an event's `lot` is one of so many; the webhooks' filters are ranges of lots
TYPES = ("order.placed", "order.shipped", "invoice.paid", "invoice.voided")
TEXTS = ("", "plain", "Größe: 3 €", '\u2028 \\ "quoted" 100%', "x" * 500)
# What has no time left for a whole timeout is not begun (arming.DELIVER_SECONDS), so the timeout is short.
USUAL = {"timeout_seconds": 5, "retry_strategy": {"kind": "fixed", "delay_seconds": 1}}


@dataclass(frozen=True)
class Wish:
    """A webhook of a run, named as its endpoint; it takes events of `types` whose lot is in `lots`."""

    name: str
    kind: str  # of its endpoint
    lots: range = range(LOTS)
    types: tuple[str, ...] = ("*",)
    values: dict[str, Any] = field(default_factory=dict)

    def wants(self, event: dict[str, Any]) -> bool:
        by_type = any(_fits(pattern, event["type"]) for pattern in self.types)
        return by_type and event["data"]["lot"] in self.lots

    @property
    def body(self) -> dict[str, Any]:
        """What creates it, but for its URL."""
        values = {"name": self.name, "event_types": [*self.types], **USUAL, **self.values}
        if self.lots == range(LOTS):
            return values
        return {**values, "filter": {"lot": {"gte": self.lots.start, "lt": self.lots.stop}}}


HEALTHY = "healthy"
STRICT = Wish("strict", "stumbling", range(40, 45), values={"ordering": "strict", "max_attempts": 3})
REFUSING = Wish("refusing", "refusing", range(30, 33), values={"max_attempts": 2})
TROUBLED = Wish("troubled", "ok", range(15, 25), values={"max_attempts": 15})
PAUSED = Wish("paused", "ok", range(65, 75))
GONE = Wish("gone", "ok", range(80, 83))
LIMITED = Wish("limited", "ok", range(55, 61), values={"rate_limit": {"requests": 20, "per_seconds": 1}})
WISHES = (
    Wish(HEALTHY, "ok"),
    Wish("orders", "ok", types=("order.*",)),
    Wish("flaky", "flaky", range(15), values={"max_attempts": 8}),
    TROUBLED,
    REFUSING,
    Wish("slow", "slow", range(34, 37), values={"timeout_seconds": 2, "max_attempts": 10}),
    STRICT,
    LIMITED,
    PAUSED,
    GONE,
    Wish("operator", "ok", types=("hookline.*",)),
)


def event(seed: int, number: int) -> dict[str, Any]:
    """Event `number` of this seed's traffic, with an id of its own: sending it again is safe."""
    chance = random.Random(f"{seed} event {number}")
    data = {"number": number, "lot": chance.randrange(LOTS), "text": chance.choice(TEXTS)}
    return {"id": f"run-{seed}-{number}", "type": chance.choice(TYPES), "data": data}


def _fits(pattern: str, type_: str) -> bool:
    return pattern in ("*", type_) or (pattern.endswith(".*") and type_.startswith(pattern[:-1]))
