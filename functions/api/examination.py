"""How the service is doing, part by part, within a bound: a part that does not answer cannot hide the others."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from functions import VERSION
from functions.adapters.database import connect_briefly
from functions.adapters.queues import QueueError
from functions.api import checks
from functions.api.checks import DEGRADED, HEALTHY, UNHEALTHY, Finding
from functions.telemetry import logger

ANSWER_SECONDS = 3  # for connecting, and for each answer of the database
BUDGET_SECONDS = 12  # no check begins later: the last one is over well before the API's 29 s
ASKING_THE_DATABASE: tuple[Callable[[Connection], Finding], ...] = (
    *(checks.schema, checks.pool, checks.partitions, checks.dispatcher, checks.maintenance),
    *(checks.deliveries, checks.report),
)


def examine() -> dict[str, Any]:
    """The answer of `/v1/health`. Raises nothing: what goes wrong is part of it."""
    deadline = time.monotonic() + BUDGET_SECONDS
    with ExitStack() as until_the_end:
        reached: list[Connection] = []

        def database() -> Finding:
            reached.append(until_the_end.enter_context(connect_briefly(ANSWER_SECONDS)))
            return _in_transaction(reached[0], checks.database)

        made = [_made("database", database, deadline)]
        for connection in reached:
            asked = [(one.__name__, partial(_in_transaction, connection, one)) for one in ASKING_THE_DATABASE]
            made += [_made(name, check, deadline) for name, check in asked]
    made.append(_made("queues", checks.queues, deadline))
    found = {one["status"] for one in made}
    return {
        "status": UNHEALTHY if UNHEALTHY in found else DEGRADED if DEGRADED in found else HEALTHY,
        "reasons": [f"{one['name']}: {one['message']}" for one in made if one["status"] != HEALTHY],
        "version": VERSION,
        "checked_at": datetime.now(UTC),
        "checks": made,
    }


def _in_transaction(connection: Connection, check: Callable[[Connection], Finding]) -> Finding:
    with connection.begin():
        return check(connection)


def _made(name: str, check: Callable[[], Finding], deadline: float) -> dict[str, Any]:
    began = time.monotonic()
    finding = _found(name, check, deadline)
    took = round((time.monotonic() - began) * 1000, 1)
    about = {"name": name, "status": finding.status, "message": finding.message, "duration_ms": took}
    return {**about, "figures": finding.figures}


def _found(name: str, check: Callable[[], Finding], deadline: float) -> Finding:
    if time.monotonic() > deadline:
        return Finding(DEGRADED, "not asked: the others took too long", {})
    try:
        return check()
    except DBAPIError as error:
        logger.warning("check failed", check=name, error=str(error.orig))
        return Finding(UNHEALTHY if name == "database" else DEGRADED, f"no answer: {error.orig}", {})
    except QueueError as error:
        logger.warning("check failed", check=name, error=str(error))
        return Finding(DEGRADED, f"no answer: {error}", {})
    except Exception:  # noqa: BLE001 - a check that is wrong must not hide the others
        logger.exception("check failed", check=name)
        return Finding(DEGRADED, "the check itself failed: the log says why", {})
