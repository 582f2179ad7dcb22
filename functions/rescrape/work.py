"""One rescrape in three short transactions, with none open while KMS, Firecrawl and S3 are asked (B5).

Claim it; then scrape and store; then say how it went, and with a document publish the event that tells of it. Were
the function to end between any two steps, the row says how far it came: dispatch finds it when its lease is over,
the next try writes the same file, and its event has the job's id, so that there is one.
"""

import json
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.adapters import measuring, outbox, vault
from functions.adapters.database import again, transaction
from functions.adapters.objects import Bucket
from functions.domain import rescraping
from functions.domain.messages import Rescrape
from functions.domain.rescraping import Claim, Policy, Start
from functions.errors import ApiError
from functions.ingest import publishing
from functions.ingest.publishing import Publication, Published
from functions.rescrape import document as documents
from functions.rescrape.failures import Failure
from functions.rescrape.scrape import Page, scrape
from functions.settings import settings
from functions.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

EVENT_TYPE = "document.rescraped"
LEASE_MARGIN_MS = 5_000  # past the end of the invocation, after which nothing of it can say anything any more
ENDING_SECONDS = 30  # of the invocation are kept for storing, publishing and recording
FIRST_PAUSE_SECONDS = 30  # before the second try of a job; doubled before each that follows


def run(message: Rescrape, context: "LambdaContext") -> None:
    """Do what a message asks for, unless it is stale. Raises sqlalchemy.exc.DBAPIError."""
    left_ms = context.get_remaining_time_in_millis()
    claimed = again(lambda: _claim(message, left_ms + LEASE_MARGIN_MS))
    if not isinstance(claimed, Claim):
        logger.info("stale message" if claimed is None else "no room in its source", change_event_id=message.id)
        _send(claimed)
        return
    logger.set_correlation_id(claimed.job_id)
    ends_at = time.monotonic() + min(settings().rescraping.budget_seconds, left_ms / 1000 - ENDING_SECONDS)
    about = {"job_id": claimed.job_id, "project_id": claimed.project_id, "document_url": claimed.watch_url}
    try:
        with measuring.measured("rescrape", "rescrape.scrape", **about):
            document = scrape(_page(claimed), ends_at)
            stored = _store(claimed, document)
        _complete(claimed, document, stored)
    except Failure as failure:
        _fail(claimed, failure)


def _claim(message: Rescrape, lease_ms: int) -> Claim | Start | None:
    with transaction() as connection:
        return rescraping.claim(connection, message.id, message.token, lease_ms)


def _page(claim: Claim) -> Page:
    """Raises Failure."""
    policy = claim.policy
    if policy is None:
        raise Failure("no_policy", "the source was deleted, or is not to be scraped again any more")
    if claim.credentials is None:
        raise Failure("no_credentials", "the source has no key to Firecrawl's API any more")
    return Page(policy.api_url, _api_key(claim, claim.credentials), claim.watch_url, policy.formats)


def _api_key(claim: Claim, stored: bytes) -> str:
    try:
        cipher = vault.cipher(claim.data_key, claim.project_id)
        read = vault.decrypt(cipher, vault.source_credentials_of(claim.project_id, claim.source_id), stored)
        return str(json.loads(read)["api_key"])
    except vault.KmsUnavailableError as error:
        logger.error("credentials not readable", source_id=claim.source_id, error=str(error))
        raise Failure("key_service_away", "the key service could not be reached", is_passing=True) from None
    except (vault.UnreadableSecretError, ValueError, KeyError, TypeError) as error:
        logger.error("credentials not usable", source_id=claim.source_id, error=type(error).__name__)
        raise Failure("credentials_unreadable", "the key to Firecrawl's API cannot be read: set it anew") from None


def _store(claim: Claim, document: dict[str, Any]) -> int:
    """The bytes of the file. Raises Failure."""
    body = documents.file(document)
    try:
        _bucket().put(documents.key(claim), body)
    except (BotoCoreError, ClientError) as error:
        logger.error("document not stored", error=str(error))
        raise Failure("not_stored", "the document could not be stored", is_passing=True) from None
    return len(body)


def _complete(claim: Claim, document: dict[str, Any], stored: int) -> None:
    """Raises Failure when the event is refused; then nothing is published."""
    link = _bucket().link(documents.key(claim), settings().rescraping.link_seconds)
    publication = Publication(
        project_id=claim.project_id,
        type=EVENT_TYPE,
        data=documents.event_data(claim, document, stored, link),
        correlation_id=claim.job_id,
        external_id=claim.job_id,
        application_id=claim.application_id,
        environment=claim.environment,
    )
    try:
        published, woken = again(lambda: _publish(claim, publication, stored))
    except ApiError as error:
        raise Failure("event_refused", error.message) from None
    if published is None:
        logger.warning("too late: somebody else has it by now", change_event_id=claim.id)
        return
    logger.info("rescraped", change_event_id=claim.id, event_id=published.event_id, bytes=stored)
    publishing.send(published)
    _send(woken)


def _publish(claim: Claim, publication: Publication, stored: int) -> tuple[Published | None, Start | None]:
    with transaction() as connection:
        if not rescraping.hold(connection, claim):
            return None, None
        published = publishing.publish(connection, publication)
        rescraping.complete(connection, claim, documents.key(claim), stored, published.event_id)
        return published, rescraping.wake(connection, claim)


def _fail(claim: Claim, failure: Failure) -> None:
    """For good, or until a while later: what may pass is tried as often as the policy says."""
    logger.warning("rescrape failed", change_event_id=claim.id, reason=failure.reason, attempts=claim.attempts)
    _send(*again(lambda: _record(claim, failure)))


def _record(claim: Claim, failure: Failure) -> tuple[Start | None, Start | None]:
    with transaction() as connection:
        if not rescraping.hold(connection, claim):
            return None, None
        if failure.is_passing and claim.attempts < (claim.policy or Policy()).max_attempts:
            pause = max(FIRST_PAUSE_SECONDS << (claim.attempts - 1), failure.after_seconds)
            own = rescraping.again(connection, claim, failure.reason, pause)
            return own, rescraping.wake(connection, claim)
        rescraping.fail(connection, claim, failure.reason)
        return None, rescraping.wake(connection, claim)


@cache
def _bucket() -> Bucket:
    return Bucket(settings().documents_bucket)


def _send(*starts: Start | None) -> None:
    """The fast path to the next invocation, after the commit. What it does not send, dispatch does."""
    outbox.send_rescrapes(settings().rescrape_queue_url, starts)
