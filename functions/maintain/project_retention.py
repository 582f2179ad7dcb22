"""The job `project_retention`: deletes the finished rows of projects that keep theirs for less long (D11).

They are not archived: such a project asked not to have them kept.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from functions.adapters.database import connect_owner
from functions.domain import forgetting
from functions.domain.forgetting import Forgotten, Old
from functions.domain.ids import uuid7_floor
from functions.maintain.run import Run
from functions.statements import named

Forget = Callable[[Connection, Old], Forgotten]

FIRST = "00000000-0000-0000-0000-000000000000"
KINDS: dict[str, Forget] = {"deliveries": forgetting.deliveries, "events": forgetting.events}
PROJECTS = named(
    "maintain.project_retention.projects",
    text("""
SELECT id, kind, CAST(days AS integer) FROM webhook.projects, jsonb_each_text(retention) AS r (kind, days)
WHERE retention IS NOT NULL ORDER BY kind, id
"""),
)


def run(run: Run) -> dict[str, int]:
    """How many rows of each kind were deleted, of how many `projects`; `needed` are those that had to stay.

    The projects take turns, a batch each, so that one with a great deal to delete keeps no other waiting.
    """
    counts = dict.fromkeys(("projects", "deliveries", "attempts", "dead_letters", "events", "needed"), 0)
    with connect_owner() as connection:
        turns = deque(_turns(connection, run.now))
        counts["projects"] = len({old.project_id for _, old in turns})
        while turns and run.has_time():
            forget, old = turns.popleft()
            with connection.begin():
                done = forget(connection, old)
            for name, count in done.counts.items():
                counts[name] += count
            if done.last is not None:
                turns.append((forget, replace(old, after=done.last)))
    return counts


def _turns(connection: Connection, now: datetime) -> list[tuple[Forget, Old]]:
    rows = connection.execute(PROJECTS).all()
    connection.commit()
    return [(KINDS[kind], Old(str(id), FIRST, uuid7_floor(now - timedelta(days=days)))) for id, kind, days in rows]
