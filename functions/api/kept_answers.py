"""Answers that were dear to make, kept in this process for a few seconds: a board asks the same each time."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

MEMORY_BYTES = 8 << 20


class KeptAnswers:
    """Texts by what was asked; those that were not asked for longest make room."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = memory_bytes
        self._clock = clock
        self._entries: OrderedDict[Hashable, tuple[float, str]] = OrderedDict()
        self._memory = 0

    def get(self, asked: Hashable, seconds: float, make: Callable[[], str]) -> str:
        """What was made of the same question less than `seconds` ago, else what `make` makes of it."""
        made = self._entries.get(asked)
        if made is not None and self._clock() - made[0] < seconds:
            self._entries.move_to_end(asked)
            return made[1]
        self._forget(asked)
        text = make()
        self._entries[asked] = (self._clock(), text)
        self._memory += len(text)
        while self._memory > self._most:
            self._forget(next(iter(self._entries)))
        return text

    def clear(self) -> None:
        self._entries.clear()
        self._memory = 0

    def _forget(self, asked: Hashable) -> None:
        if (entry := self._entries.pop(asked, None)) is not None:
            self._memory -= len(entry[1])
