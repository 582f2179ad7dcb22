"""What the rows say of documents."""

from sqlalchemy import Connection, RowMapping, select, update

from functions.api.caller import Caller
from functions.api.queries import reach
from functions.models import change_events
from functions.statements import named

c = change_events.c


def document(connection: Connection, caller: Caller, id: str) -> RowMapping | None:
    """Where a change event's document is, if it has one; None when the caller has no such change event."""
    found = select(c.rescrape_job_id, c.document_key, c.document_bytes)
    mine = found.where(c.id == id, *reach.within(change_events, caller))
    return connection.execute(named("documents.get", mine)).mappings().one_or_none()


def lock(connection: Connection, caller: Caller, id: str) -> RowMapping | None:
    """What is to be known before it is deleted."""
    found = select(c.source_id, c.application_id, c.rescrape_status, c.rescrape_job_id, c.document_key)
    mine = found.where(c.id == id, *reach.within(change_events, caller)).with_for_update(key_share=True)
    return connection.execute(named("documents.lock", mine)).mappings().one_or_none()


def forget(connection: Connection, id: str) -> None:
    gone = update(change_events).where(c.id == id).values(document_key=None, document_bytes=None)
    connection.execute(named("documents.forget", gone))
