"""Changing tables that others use: one job at a time, for a moment, and again after a pause."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from functions.adapters.database import sqlstate
from functions.statements import named

# Lock not available, canceled by a timeout, deadlock: somebody else used it (PostgreSQL's manual, Appendix A).
IN_USE = {"55P03", "57014", "40P01"}
PAUSE_SECONDS = 2.0  # whoever had to wait behind the last try is served long before the next

# A session's own lock: the maintenance function is on the instance, behind no pooler.
LOCK = named(
    "maintain.lock_archive", text("SELECT pg_try_advisory_lock(hashtextextended('archive.' || :name, 0))")
)
UNLOCK = named(
    "maintain.unlock_archive", text("SELECT pg_advisory_unlock(hashtextextended('archive.' || :name, 0))")
)


def is_in_use(error: DBAPIError) -> bool:
    """Whether that is all that was wrong."""
    return sqlstate(error) in IN_USE


def patiently(change: Callable[[], None], tries: int, pause_seconds: float = PAUSE_SECONDS) -> bool:
    """Whether the change was made in one of so many tries. Raises what is wrong with it otherwise."""
    for number in range(tries):
        if number:
            time.sleep(pause_seconds)
        try:
            change()
        except DBAPIError as error:
            if not is_in_use(error):
                raise
        else:
            return True
    return False


@contextmanager
def alone(connection: Connection, name: str) -> Iterator[bool]:
    """Whether nobody else is at work on the partition of that name: the jobs run beside each other."""
    with connection.begin():
        got = bool(connection.execute(LOCK, {"name": name}).scalar_one())
    try:
        yield got
    finally:
        if got and not connection.invalidated:
            connection.rollback()
            with connection.begin():
                connection.execute(UNLOCK, {"name": name})
