"""Runs message move tasks at their rate."""

import asyncio
import logging

from local.sqs.group_commit import GroupCommit
from local.sqs.move_tasks import COMPLETED, RUNNING, MoveTask, MoveTasks

logger = logging.getLogger(__name__)

CHUNK = 100  # messages moved before others get their turn, when no rate is asked for


class Mover:
    """One asyncio task per running move task; those a former process left running are taken up again."""

    def __init__(self, moves: MoveTasks, commit: GroupCommit) -> None:
        self._moves = moves
        self._commit = commit
        self._running: dict[str, asyncio.Task[None]] = {}

    def start_all(self) -> None:
        """Run every task that is to run and does not."""
        for task in self._moves.running():
            if task.task_id not in self._running:
                self._running[task.task_id] = asyncio.create_task(self._run(task))

    async def close(self) -> None:
        """Stop moving; the tasks stay RUNNING for the next start."""
        runs = list(self._running.values())
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    async def _run(self, task: MoveTask) -> None:
        try:
            await self._move_all(task)
        finally:
            del self._running[task.task_id]
        level = logging.INFO if task.status == COMPLETED else logging.WARNING
        reason = f" ({task.failure})" if task.failure else ""
        logger.log(level, "move from %s %s: %d moved%s", task.source_arn, task.status, task.moved, reason)

    async def _move_all(self, task: MoveTask) -> None:
        loop = asyncio.get_running_loop()
        start, moved_before = loop.time(), task.moved
        while task.status == RUNNING:
            if task.rate is None:
                limit, pause = CHUNK, 0.0
            else:  # the first at once, then one every 1/rate s since the start: no drift
                allowed = int((loop.time() - start) * task.rate) + 1
                limit = allowed - (task.moved - moved_before)
                pause = 1 / task.rate
            self._moves.step(task, limit)
            await self._commit.settled()
            await asyncio.sleep(pause)
