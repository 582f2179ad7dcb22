"""`python -m bench.growth.worker`: the product's own statements on the database that the environment names.

Reads the name of an operation a line, and answers with how many nanoseconds it took; what it needs is made before,
and counts for nothing.
"""

import json
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from functions.adapters.database import transaction
from functions.adapters.sender import Request, Response
from functions.api.caller import Caller
from functions.api.queries import deliveries as queries
from functions.api.queries.deliveries import Filter
from functions.deliver import records
from functions.deliver.claims import Claim, Lane, claim
from functions.dispatch import sweeps
from functions.domain.ids import uuid7

BATCH = 100  # of what is claimed, recorded and swept at once
POOL = 2_000  # keys that reads take theirs from, of all months alike
LEASE_MS = 60_000
SEED = 7

KEYS = text("""
SELECT json_agg(json_build_array(project_id, webhook_id, event_id, id))::text FROM (
  SELECT project_id, webhook_id, event_id, id FROM webhook.webhook_deliveries WHERE id >= CAST(:low AS uuid)
  ORDER BY id LIMIT 20) d
""")
NEW_EVENT = text("""
INSERT INTO webhook.webhook_events (id, project_id, type, data, correlation_id)
SELECT CAST(:event AS uuid), id, 'invoice.paid', '{"amount": 100}', 'bench'
FROM webhook.projects ORDER BY id LIMIT 1
RETURNING CAST(project_id AS text)
""")
NEW = text("""
WITH made AS (
  INSERT INTO webhook.webhook_deliveries (project_id, webhook_id, event_id, event_type, scheduled_at, sweep_at)
  SELECT w.project_id, w.id, CAST(:event AS uuid), 'invoice.paid', now(), now() + :sweep * interval '1 s'
  FROM webhook.webhooks w JOIN generate_series(1, 10) n ON true
  WHERE w.project_id = CAST(:project AS uuid) ORDER BY w.id, n LIMIT CAST(:count AS integer) RETURNING id, token
)
SELECT json_object_agg(id, token)::text FROM made
""")
SAMPLES = text("SELECT CAST(webhook.uuidv7_floor(now() - :days * interval '1 day') AS text)")


class Bench:
    """Reads go to keys of every month, or, where there are none, to the newest."""

    def __init__(self) -> None:
        self._random = random.Random(SEED)
        self._keys = self._pool()

    def _pool(self) -> list[list[str]]:
        keys: list[list[str]] = []
        with transaction() as connection:
            for _ in range(POOL // 20):
                low = connection.execute(SAMPLES, {"days": self._random.uniform(0, 365)}).scalar_one()
                keys += json.loads(connection.execute(KEYS, {"low": low}).scalar_one() or "[]")
        return keys

    def _key(self) -> list[str]:
        return self._random.choice(self._keys)

    def delivery(self) -> Callable[[], object]:
        project, _, _, id = self._key()
        return _asked(lambda connection: queries.delivery(connection, _caller(project), id))

    def attempts(self) -> Callable[[], object]:
        project, _, _, id = self._key()
        return _asked(
            lambda connection: queries.list_attempts(
                connection, _caller(project), id, has_error=None, limit=50, cursor=""
            )
        )

    def page(self) -> Callable[[], object]:
        return self._page(Filter())

    def page_of_a_webhook(self) -> Callable[[], object]:
        return self._page(Filter(webhook_id=self._key()[1]))

    def page_of_what_failed(self) -> Callable[[], object]:
        return self._page(Filter(status="failed"))

    def page_of_an_event(self) -> Callable[[], object]:
        return self._page(Filter(event_id=self._key()[2]))

    def _page(self, wanted: Filter) -> Callable[[], object]:
        project = next(
            key[0] for key in self._keys if wanted.webhook_id in {"", key[1]} and wanted.event_id in {"", key[2]}
        )
        return _asked(
            lambda connection: queries.list_deliveries(connection, _caller(project), wanted, limit=50, cursor="")
        )

    def claim(self) -> Callable[[], object]:
        tokens = _made(sweep=90)
        return lambda: _taken(tokens)

    def record(self) -> Callable[[], object]:
        results = records.results_of([(_answered(one), 40) for one in _taken(_made(sweep=90))])
        return lambda: records.record(results)

    def sweep(self) -> Callable[[], object]:
        while sweeps.due_deliveries(BATCH):
            pass
        _made(sweep=-1)
        return lambda: sweeps.due_deliveries(BATCH)


# What each is called, and how it is prepared.
OPERATIONS: dict[str, Callable[[Bench], Callable[[], object]]] = {
    "a delivery": Bench.delivery,
    "its attempts": Bench.attempts,
    "a page of all": Bench.page,
    "a page of a webhook": Bench.page_of_a_webhook,
    "a page of what failed": Bench.page_of_what_failed,
    "the deliveries of an event": Bench.page_of_an_event,
    "claim of 100": Bench.claim,
    "record of 100": Bench.record,
    "due scan of 100": Bench.sweep,
}


def _asked(question: Callable[[Any], object]) -> Callable[[], object]:
    def ask() -> object:
        with transaction() as connection:
            return question(connection)

    return ask


def _made(*, sweep: int) -> dict[str, int]:
    """Deliveries of a new event and their tokens; dispatch looks at them `sweep` seconds from now."""
    event = uuid7()
    with transaction() as connection:
        project = connection.execute(NEW_EVENT, {"event": event}).scalar_one()
        given = {"event": event, "project": project, "count": BATCH, "sweep": sweep}
        tokens: dict[str, int] = json.loads(connection.execute(NEW, given).scalar_one())
    return tokens


def _taken(tokens: dict[str, int]) -> list[Claim]:
    claims = claim(tokens, LEASE_MS, Lane.FRESH, {}).claims
    if len(claims) != BATCH:
        raise RuntimeError(f"{len(claims)} of {BATCH} claimed")
    return claims


def _answered(claimed: Claim) -> Response:
    request = Request(claimed, claimed.webhook.url, {"webhook-id": claimed.event.id}, b"{}", 15_000)
    return Response(request, datetime.now(UTC), status=200, body=b"ok", time_ms=40, remote_address="93.184.216.34")


def _caller(project_id: str) -> Caller:
    return Caller(False, project_id, "", "", frozenset({"*"}), "bench", "bench", "127.0.0.1")


def main() -> None:
    bench = Bench()
    print("ready", flush=True)
    for line in sys.stdin:
        do = OPERATIONS[line.strip()](bench)
        before = time.perf_counter_ns()
        do()
        print(time.perf_counter_ns() - before, flush=True)


if __name__ == "__main__":
    main()
