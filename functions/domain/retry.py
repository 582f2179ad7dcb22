"""When a failed delivery is tried again (D1): by its webhook's strategy, exponentially unless that says otherwise.

The default's steps are 10 s, 100 s, 17 min, 2.8 h, 24 h, 24 h …: a blip is over in seconds, a bad deploy in
minutes, an outage in a day. Its six attempts span 14 to 27 h, fifteen 5 to 10 days.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

Strategy = Mapping[str, Any]  # as the API takes and shows it: {"kind": …} and that kind's fields

MIN_SECONDS, MAX_SECONDS = 1, 7 * 86_400  # of every step
MAX_FACTOR = 100
MAX_DELAYS = 20  # as many as a webhook may have attempts
MAX_GROWTH = 100  # steps an exponential one grows for: beyond any budget, and its power is still a float

DEFAULTS: dict[str, dict[str, Any]] = {
    "exponential": {"initial_seconds": 10, "factor": 10, "max_seconds": 86_400, "jitter": True},
    "linear": {"step_seconds": 60, "max_seconds": 86_400, "jitter": False},
    "fixed": {"delay_seconds": 60, "jitter": False},
    "custom": {"delays_seconds": [], "jitter": False},  # without any it is not complete
}
DEFAULT: Strategy = {"kind": "exponential", **DEFAULTS["exponential"]}


def delay(strategy: Strategy, attempt: int, chance: float) -> timedelta:
    """How long to wait after failed attempt number `attempt` (from 1); `strategy` is a complete one.

    With jitter `chance` in [0, 1) spreads retries over the second half of the step, so that the deliveries which
    failed together do not come back together.
    """
    step = timedelta(seconds=_step_seconds(strategy, attempt))
    return step * (0.5 + chance / 2) if strategy["jitter"] else step


def complete(stored: object) -> Strategy:
    """A stored strategy with its kind's defaults filled in. Raises ValueError for what is none."""
    whole = filled(stored) if isinstance(stored, dict) else {}
    fields = DEFAULTS.get(str(whole.get("kind")))
    if fields is None or not all(_usable(whole, name) for name in fields):
        raise ValueError(f"not a retry strategy: {stored!r:.200}")
    return whole


def brief(strategy: Strategy) -> Strategy:
    """A complete strategy as it is stored: without what its kind has by default."""
    defaults = DEFAULTS[strategy["kind"]]
    return {name: value for name, value in strategy.items() if name == "kind" or value != defaults[name]}


def filled(stored: dict[str, Any]) -> dict[str, Any]:
    """A stored strategy as it is shown: with its kind's defaults, where the kind is known."""
    return {"kind": stored.get("kind"), **DEFAULTS.get(str(stored.get("kind")), {}), **stored}


def _step_seconds(strategy: Strategy, n: int) -> float:
    match strategy:
        case {"kind": "linear", "step_seconds": step, "max_seconds": most}:
            return float(min(step * n, most))
        case {"kind": "fixed", "delay_seconds": always}:
            return float(always)
        case {"kind": "custom", "delays_seconds": delays}:
            return float(delays[min(n, len(delays)) - 1])
        case _:
            growth = strategy["factor"] ** min(n - 1, MAX_GROWTH)
            return float(min(strategy["initial_seconds"] * growth, strategy["max_seconds"]))


def _usable(strategy: Strategy, name: str) -> bool:
    value = strategy[name]
    if name == "jitter":
        return isinstance(value, bool)
    if name == "delays_seconds":
        return isinstance(value, list) and 0 < len(value) <= MAX_DELAYS and all(map(_is_step, value))
    return _is_number(value, 1, MAX_FACTOR) if name == "factor" else _is_step(value)


def _is_step(value: object) -> bool:
    return _is_number(value, MIN_SECONDS, MAX_SECONDS)


def _is_number(value: object, least: int, most: int) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
