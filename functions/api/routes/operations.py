"""How the service and its database are doing, for whoever runs it: these take the admin key."""

from datetime import UTC, datetime
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from functions.adapters.database import transaction
from functions.api import operation
from functions.api.examination import examine
from functions.api.operation import documented
from functions.api.rendering import JSON, answer
from functions.api.schemas.database import DatabaseState
from functions.api.schemas.health import HealthReport
from functions.domain.figures import kept
from functions.domain.figures.problems import none_yet, old_report, worst
from functions.domain.figures.waiting import since
from functions.settings import settings

router = operation.Router()
TAGS = ["health"]
MOST_HOURS = 35 * 24  # as long as reports are kept
EXAMINED = documented("admin", 200, HealthReport, 401, 403)
EXAMINED["responses"][503] = {"description": "it is unhealthy", "content": {JSON: {"model": HealthReport}}}


@router.get(
    "/v1/health",
    tags=TAGS,
    summary="Read how the service is doing",
    description="Part by part, with reasons. `degraded` wants looking after and answers 200, too; `unhealthy`"
    " means that events are not taken, or not delivered. A part that does not answer in time is told as such.",
    **EXAMINED,
)
def read_health() -> Response[str]:
    operation.admin(router)
    found = examine()
    return answer(503 if found["status"] == "unhealthy" else 200, found)


@router.get(
    "/v1/admin/database",
    tags=TAGS,
    summary="Read how the database is doing",
    description="The newest of the reports that are made every five minutes: sizes, rows (estimated), bloat,"
    " growth, partitions, what waits, connections and locks, and what of it is a problem. `history` adds the main"
    " figures of so many hours: of every report up to two days, else of one an hour.",
    **documented("admin", 200, DatabaseState, 401, 403, 422),
)
def read_database(
    history: Annotated[int, Query(ge=0, le=MOST_HOURS, description="Hours of the main figures to add")] = 0,
) -> Response[str]:
    operation.admin(router)
    now, limits = datetime.now(UTC), settings().thresholds
    with transaction() as connection:
        newest = kept.newest(connection)
        past = kept.history(connection, now, history) if history else []
    made_at, report = newest if newest is not None else (None, None)
    age = since(made_at, now) if made_at is not None else None
    problems = none_yet() if report is None or age is None else [*old_report(age, limits), *report.pop("problems")]
    status = worst(one["severity"] for one in problems)
    shown = {"status": status, "made_at": made_at, "age_seconds": age, "problems": problems}
    return answer(200, {**shown, "report": report, "history": past})
