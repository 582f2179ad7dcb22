"""Two at once, one after the other: a request that waits for a lock which the test holds."""

import threading
import time
from collections.abc import Callable
from typing import Any

from tests.integration.conftest import Service

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def while_waiting(service: Service, held: str, work: Callable[[], Any], **values: Any) -> Any:
    """What `work` returns, which meets the locks of the statement `held` and goes on when that is committed."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    service.sql.run("BEGIN")
    service.sql.run(held, **values)
    thread.start()
    deadline = time.monotonic() + 20
    while not (waited := _somebody_waits(service)) and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    service.sql.run("COMMIT")
    thread.join(20)
    assert waited, "it did not wait for the lock"
    (result,) = found
    return result


def _somebody_waits(service: Service) -> bool:
    """A transaction sees the activity of others as it was when it first looked, unless it forgets that."""
    service.sql.run("SELECT pg_stat_clear_snapshot()")
    return service.sql.run(WAITING) != [[0]]
