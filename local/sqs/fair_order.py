"""The order in which waiting messages are received: round robin among message groups."""

import heapq
from collections import deque


class FairOrder:
    """Gives every message group the same turn, oldest message first within a group.

    AWS's fair queues put groups that hold more than a tenth of the messages in flight behind the quiet ones
    (SQS Developer Guide, "How Amazon SQS fair queues work"). Equal turns give a quiet group the same: its
    message waits for one turn of each other group, never for another group's backlog. As on AWS, a message
    without a group is a tenant of its own.

    Adding and taking cost O(log n) in the size of one group. A message cannot be taken out of the middle:
    whoever takes a sequence number checks whether the message still exists.
    """

    def __init__(self) -> None:
        self._lanes: dict[str, list[int]] = {}
        self._turns: deque[tuple[str | None, list[int]]] = deque()

    def add(self, seq: int, group: str | None) -> None:
        """Let the message of that sequence number wait in its group."""
        if group is None:
            self._turns.append((None, [seq]))
            return
        lane = self._lanes.get(group)
        if lane is None:
            lane = self._lanes[group] = []
            self._turns.append((group, lane))
        heapq.heappush(lane, seq)

    def take(self) -> int | None:
        """The sequence number whose turn it is, or None when nothing waits."""
        if not self._turns:
            return None
        group, lane = self._turns.popleft()
        seq = heapq.heappop(lane)
        if lane:
            self._turns.append((group, lane))
        elif group is not None:
            del self._lanes[group]
        return seq
