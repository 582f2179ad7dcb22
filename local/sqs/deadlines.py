"""Times at which something falls due, earliest first, with cheap removal."""

import heapq
from collections.abc import Iterator


class Deadlines:
    """A priority queue of keys by time in ms since the epoch; every operation is amortised O(log n).

    Removing a key leaves its entry in the heap, because a heap cannot be searched. The heap is rebuilt once
    such leftovers outnumber the live entries: a queue whose messages are deleted long before their visibility
    timeout ends would otherwise keep every one of them until then.
    """

    _SLACK = 64  # below this many entries a rebuild saves nothing worth having

    def __init__(self) -> None:
        self._at: dict[int, int] = {}
        self._heap: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._at)

    def __contains__(self, key: int) -> bool:
        return key in self._at

    def set(self, key: int, at: int) -> None:
        """Let `key` fall due at `at`, whenever it was due before."""
        self._at[key] = at
        heapq.heappush(self._heap, (at, key))
        if len(self._heap) > 2 * len(self._at) + self._SLACK:
            self._heap = [(due, live) for live, due in self._at.items()]
            heapq.heapify(self._heap)

    def discard(self, key: int) -> bool:
        """Forget `key`; returns whether it was known."""
        return self._at.pop(key, None) is not None

    def next(self) -> int | None:
        """The earliest time, or None when nothing is to fall due."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: int) -> Iterator[int]:
        """Forget and yield, in order, the keys due at `now` or before."""
        while self._heap and self._heap[0][0] <= now:
            at, key = heapq.heappop(self._heap)
            if self._at.get(key) == at:
                del self._at[key]
                yield key
