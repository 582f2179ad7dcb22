"""What a maintenance job is told: the time, how long it may take, and what was asked of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Run:
    """One run of one job. Jobs work in bounded batches, ask `has_time` between them, and go on in the next run."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 60.0  # how long the job may go on taking up batches
    parameters: Mapping[str, Any] = field(default_factory=dict)  # the event that started it, without `job`
    _began: float = field(default_factory=time.monotonic)

    def has_time(self) -> bool:
        """Whether another batch may begin."""
        return self.seconds_left() > 0

    def seconds_left(self) -> float:
        """Until then a batch may begin; below 0 afterwards."""
        return self.seconds - (time.monotonic() - self._began)
