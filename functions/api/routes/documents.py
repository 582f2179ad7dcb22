"""Documents of change events: links to read them by, and deleting them."""

from datetime import UTC, datetime, timedelta
from functools import cache

from aws_lambda_powertools.event_handler import Response
from botocore.exceptions import BotoCoreError, ClientError

from functions.adapters.database import transaction
from functions.adapters.objects import HURRIED, Bucket
from functions.api import audit, operation
from functions.api.operation import documented
from functions.api.queries import documents as queries
from functions.api.rendering import answer, no_content
from functions.api.schemas.documents import Document
from functions.domain.documents import folder
from functions.errors import Conflict, NotFound, Unavailable
from functions.settings import settings
from functions.telemetry import logger

router = operation.Router()
TAGS = ["change events"]
UNFINISHED = {"queued", "in_progress"}


@router.get(
    "/v1/change-events/<change_event_id>/document",
    tags=TAGS,
    summary="Link to a change event's document",
    description="A new link to what the last rescrape brought: for who gets `document.rescraped` when the link in"
    " it has ended.",
    **documented("sources:read", 200, Document, 401, 403, 404),
)
def read_document(change_event_id: str) -> Response[str]:
    caller = operation.caller(router, "sources:read")
    id = operation.key(change_event_id, "change event")
    with transaction() as connection:
        found = queries.document(connection, caller, id)
    if found is None:
        raise operation.missing("change event")
    if found["document_key"] is None:
        raise NotFound("there is no document: no rescrape brought one, or it was deleted")
    seconds = settings().rescraping.link_seconds
    told = {
        "change_event_id": id,
        "job_id": found["rescrape_job_id"],
        "bytes": found["document_bytes"],
        "url": _bucket().link(found["document_key"], seconds),
        "expires_at": datetime.now(UTC) + timedelta(seconds=seconds),
    }
    return answer(200, told)


@router.delete(
    "/v1/change-events/<change_event_id>/document",
    tags=TAGS,
    summary="Delete a change event's documents",
    description="The files of all its rescrapes, for good; links to them lead nowhere from now on. What its events"
    " have of them stays until their payloads are erased. 409 while a rescrape is unfinished. Doing it twice"
    " changes nothing.",
    **documented("sources:write", 204, None, 401, 403, 404, 409),
)
def delete_document(change_event_id: str) -> Response[str]:
    caller = operation.caller(router, "sources:write")
    id = operation.key(change_event_id, "change event")
    with transaction() as connection:
        found = queries.lock(connection, caller, id)
        if found is None:
            raise operation.missing("change event")
        if found["rescrape_status"] in UNFINISHED:
            raise Conflict(f"the page is being scraped again, by job {found['rescrape_job_id']}: wait for its end")
        if found["document_key"] is not None:
            queries.forget(connection, id)
        application_id = found["application_id"] and str(found["application_id"])
        audit.record(
            connection, caller, "change_event.document_deleted", id, level="warning", application_id=application_id
        )
    # After the commit, whatever the row said: were this to fail, the same request finds the files again.
    try:
        deleted = _bucket().delete_below(folder(caller.project_id, str(found["source_id"]), id))
    except (BotoCoreError, ClientError) as error:
        logger.error("documents not deleted", change_event_id=id, error=str(error))
        raise Unavailable("the documents cannot be deleted at the moment; send the same again") from None
    logger.info("documents deleted", change_event_id=id, files=deleted)
    return no_content()


@cache
def _bucket() -> Bucket:
    return Bucket(settings().documents_bucket, HURRIED)
