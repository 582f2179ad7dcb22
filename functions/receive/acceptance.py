"""From a request to an event: known source, right address, right size, verified, read, stored, sent."""

from dataclasses import dataclass

from functions.adapters import measuring, outbox
from functions.adapters.database import transaction
from functions.domain import allowlist
from functions.domain.ids import parse_uuid
from functions.domain.senders import naming, registry
from functions.domain.senders.base import Message, NotVerified, Received, Sender, Unreadable
from functions.errors import Forbidden, Invalid, PayloadTooLarge, Unauthorized
from functions.ingest import publishing
from functions.ingest.publishing import Publication, Published
from functions.receive import kept, sources
from functions.receive.sources import Addressed
from functions.settings import settings
from functions.telemetry import logger

NOT_VERIFIED = "the signature is not valid"  # whatever is wrong: who guesses learns nothing


@dataclass(frozen=True)
class Post:
    """A request, and where it came from."""

    source_id: str
    received: Received
    address: str
    correlation_id: str


def accept(post: Post) -> Published:
    """The event that the request became, or was already. Raises ApiError for what is refused.

    Raises sqlalchemy.exc.DBAPIError and KmsUnavailableError as well; then nothing was stored.
    """
    id = parse_uuid(post.source_id)
    if id is None:
        raise sources.unknown()
    found = sources.addressed(str(id))
    logger.append_keys(**sources.shown(found.source))
    sender = registry.sender(found.source.kind)
    _check_admitted(post, found)
    _check_verified(post, found, sender)
    message = _read(post, found, sender)
    measuring.project(found.source.project_id)
    named = f"receive.{found.source.kind}"
    with (
        measuring.measured("ingest", named, project_id=found.source.project_id) as taking,
        transaction() as connection,
    ):
        published = publishing.publish(connection, _publication(post, found, message))
        start = sender.record(connection, found.source, message, published.event_id)
        sources.note(connection, found)
        taking.count(events=int(published.new), deliveries=len(published.deliveries))
    # What is not sent is found by dispatch.
    publishing.send(published)
    outbox.send_rescrapes(settings().rescrape_queue_url, [start])
    return published


def _check_admitted(post: Post, found: Addressed) -> None:
    """What costs nothing comes first: raises Forbidden or PayloadTooLarge."""
    if found.allowed and not allowlist.contains(found.allowed, post.address):
        raise Forbidden("nothing is taken from this address")
    if len(post.received.body) > found.max_body_bytes:
        raise PayloadTooLarge(f"the body is larger than {found.max_body_bytes} bytes")


def _check_verified(post: Post, found: Addressed, sender: Sender) -> None:
    """Raises Unauthorized."""
    try:
        sender.verify(post.received, found.secrets(), found.source)
    except NotVerified as finding:
        logger.warning("not verified", reason=str(finding))
        raise Unauthorized(NOT_VERIFIED) from None


def _read(post: Post, found: Addressed, sender: Sender) -> Message:
    """Raises Invalid."""
    try:
        return sender.read(post.received, found.source)
    except Unreadable as finding:
        logger.warning("not readable", reason=str(finding))
        raise Invalid(str(finding)) from None


def _publication(post: Post, found: Addressed, message: Message) -> Publication:
    source = found.source
    return Publication(
        project_id=source.project_id,
        type=naming.event_type(source.event_types, message.type),
        data=message.data,
        correlation_id=post.correlation_id,
        external_id=naming.external_id(source.id, message.id),
        application_id=source.application_id,
        environment=source.environment,
        occurred_at=message.occurred_at,
        received=kept.received(source, message, post.received.headers),
    )
