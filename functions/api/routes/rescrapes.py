"""Scraping the page of a change event again, because somebody asks for it."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from sqlalchemy import Connection, RowMapping

from functions.adapters import outbox
from functions.api import audit, operation
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.queries import rescrapes as queries
from functions.api.rendering import to_json
from functions.api.schemas.levers import EmptyIn
from functions.api.schemas.rescrapes import Rescrape
from functions.domain import rescraping
from functions.domain.rescraping import Started
from functions.errors import Conflict
from functions.settings import settings

router = operation.Router()


@router.post(
    "/v1/change-events/<change_event_id>/rescrape",
    tags=["change events"],
    summary="Scrape a page again",
    description="Firecrawl scrapes the page of the change event, by the policy and with the key of its source,"
    " whether or not the policy is enabled: that is about rescrapes that nobody asks for. When the document is"
    " stored, an event `document.rescraped` tells of it. One at a time: 409 while one is unfinished, and where the"
    " source has no policy or no key.",
    **documented("sources:write", 202, Rescrape, 400, 401, 403, 404, 409, 415, 422),
)
def rescrape(change_event_id: str, _nothing: Annotated[EmptyIn | None, Body()] = None) -> Response[str]:
    caller = operation.caller(router, "sources:write")
    id = operation.key(change_event_id, "change event")
    started: list[Started] = []

    def produce(connection: Connection) -> Answer:
        found = queries.asked(connection, caller, id)
        if found is None:
            raise operation.missing("change event")
        _check(found)
        start = rescraping.start(connection, id)
        if start is None:
            raise Conflict("the page is being scraped again already")
        started.append(start)
        after = {"change_event_id": id, "job_id": start.job_id, "status": "queued"}
        application_id = found["application_id"] and str(found["application_id"])
        audit.record(connection, caller, "change_event.rescraped", id, after=after, application_id=application_id)
        return Answer(202, to_json(after))

    response = operation.post(router, caller, produce)
    outbox.send_rescrapes(settings().rescrape_queue_url, started)
    return response


def _check(found: RowMapping) -> None:
    """Raises Conflict, saying what is in the way."""
    if found["is_deleted"]:
        raise Conflict("the source of the change event was deleted")
    if not found["has_policy"]:
        raise Conflict("the source has no rescrape policy: give it one first")
    if not found["has_credentials"]:
        raise Conflict("the source has no key to Firecrawl's API: give it one first")
    if found["rescrape_status"] in {"queued", "in_progress"}:
        raise Conflict(f"the page is being scraped again already, by job {found['rescrape_job_id']}")
