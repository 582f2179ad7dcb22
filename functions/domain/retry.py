"""When a failed delivery is tried again (D1): exponential, with jitter."""

from datetime import timedelta

# 10 s, 100 s, 17 min, 2.8 h, 24 h, 24 h …: a blip is over in seconds, a bad deploy in minutes, an outage in a
# day. The default six attempts span 14 to 27 h, fifteen 5 to 10 days.
BASE = timedelta(seconds=10)
FACTOR = 10
CAP = timedelta(hours=24)


def delay(attempt: int, chance: float) -> timedelta:
    """How long to wait after failed attempt number `attempt` (from 1).

    `chance` in [0, 1) spreads retries over the second half of the step, so that the deliveries which failed
    together do not come back together.
    """
    step: timedelta = min(BASE * FACTOR ** min(attempt - 1, 8), CAP)
    return step * (0.5 + chance / 2)
