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
    while service.sql.run(WAITING) == [[0]] and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    waited = service.sql.run(WAITING) != [[0]]
    service.sql.run("COMMIT")
    thread.join(20)
    assert waited, "it did not wait for the lock"
    (result,) = found
    return result
