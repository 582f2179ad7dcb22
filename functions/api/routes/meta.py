"""What needs no key: whether the service is up, and what it can do."""

from typing import Any

from aws_lambda_powertools.event_handler import Response
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from functions.adapters.database import transaction
from functions.api import operation
from functions.api.rendering import answer
from functions.api.schemas.health import Health
from functions.statements import named
from functions.telemetry import logger

router = operation.Router()
PING = named("health.ping", text("SELECT 1"))
HEALTH: dict[int, Any] = {
    200: {"description": "the service is up", "content": {"application/json": {"model": Health}}},
    503: {
        "description": "the database cannot be reached",
        "content": {"application/json": {"model": Health}},
    },
}


@router.get("/health", tags=["health"], summary="Is the service up", responses=HEALTH)
def health() -> Response[str]:
    try:
        with transaction() as connection:
            connection.execute(PING)
    except DBAPIError:
        logger.exception("unhealthy")
        return answer(503, {"status": "unhealthy"})
    return answer(200, {"status": "healthy"})
