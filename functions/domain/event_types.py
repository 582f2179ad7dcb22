"""Names of event types and the patterns that subscriptions match them with (C3)."""

import re

MAX_LENGTH = 255  # the column's
NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
PATTERN = re.compile(r"\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?")
RESERVED = "hookline."  # the names of Hookline's own operational events (P11)
TEST = "hookline.test"  # of events, and of deliveries, that a person sends to try one webhook


def is_name(text: str) -> bool:
    return len(text) <= MAX_LENGTH and NAME.fullmatch(text) is not None


def is_pattern(text: str) -> bool:
    """`*`, an exact name, or a prefix such as `config.*`."""
    return len(text) <= MAX_LENGTH and PATTERN.fullmatch(text) is not None


def patterns_matching(event_type: str) -> list[str]:
    """Every pattern that matches this name: `a.b.c` → `*`, `a.b.c`, `a.*`, `a.b.*`.

    Matching is then one equality look-up in an index, however many subscriptions there are. `*` stands for all
    that the caller sends: what Hookline tells of itself is for those who name it.
    """
    parts = event_type.split(".")
    everything = [] if event_type.startswith(RESERVED) else ["*"]
    return [*everything, event_type, *(".".join(parts[:n]) + ".*" for n in range(1, len(parts)))]
