"""One commit for all requests of an event-loop tick."""

import asyncio
import sqlite3
from collections.abc import Callable

from local.sqs.journal import Journal
from local.sqs.storage import Storage


class GroupCommit:
    """Writes the journal before anything in it is acknowledged.

    The first request of a tick asks for a commit at the tick's end, the others join it. `on_failure` is
    called when a commit fails: memory is then ahead of the file, so the process must not go on.
    """

    def __init__(self, storage: Storage, journal: Journal, on_failure: Callable[[sqlite3.Error], None]) -> None:
        self._storage = storage
        self._journal = journal
        self._on_failure = on_failure
        self._next: asyncio.Future[None] | None = None

    async def settled(self) -> None:
        """Return once everything noted so far is in the file. Raises sqlite3.Error if it cannot be."""
        if not self._journal:
            return
        if self._next is None:
            loop = asyncio.get_running_loop()
            self._next = loop.create_future()
            loop.call_soon(self.flush)
        await asyncio.shield(self._next)  # a client that leaves must not cancel the commit of the others

    def flush(self) -> None:
        """Commit now."""
        waiting, self._next = self._next, None
        try:
            if self._journal:
                self._storage.write(self._journal)
        except sqlite3.Error as error:
            self._on_failure(error)
            if waiting is not None:
                waiting.set_exception(error)
            return
        self._journal.clear()
        if waiting is not None:
            waiting.set_result(None)
