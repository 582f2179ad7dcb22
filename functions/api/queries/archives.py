"""What left the database and is kept as files: asked only where something was not found."""

from typing import Literal

from sqlalchemy import Connection, text

from functions.domain.ids import parse_uuid
from functions.domain.partitions import made_at
from functions.statements import named

What = Literal["event", "delivery", "change_event", "crawl_session"]
TABLES: dict[What, str] = {
    "event": "webhook_events",
    "delivery": "webhook_deliveries",
    "change_event": "change_events",
    "crawl_session": "crawl_sessions",
}
PLURALS: dict[What, str] = {
    "event": "events",
    "delivery": "deliveries",
    "change_event": "change events",
    "crawl_session": "crawl sessions",
}
COVERING = named(
    "api.archives.covering",
    text("""
SELECT EXISTS (
  SELECT FROM webhook.archives
  WHERE table_name = :table AND state IN ('dropped', 'restored') AND range_from <= :at AND range_to > :at)
"""),
)


def where(connection: Connection, what: What, id: str) -> str:
    """What to add to the sentence that such a thing is not there; empty where no archive can have it.

    It tells of the time in the id alone: whether there ever was such a row is in the files.
    """
    key = parse_uuid(id)
    if key is None or key.version != 7:
        return ""
    try:
        at = made_at(str(key))
    except ValueError:
        return ""
    if not connection.execute(COVERING, {"table": TABLES[what], "at": at}).scalar_one():
        return ""
    return f"; {PLURALS[what]} of that time are archived, and can be restored by whoever operates Hookline"
