"""What is common to those who post to `/in/{source_id}`: what came, how it is read, and what a sender must do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from sqlalchemy import Connection

from functions.domain import payload
from functions.domain.rescraping import Start
from functions.errors import ApiError

Kind = Literal["changedetection", "firecrawl", "standard_webhooks", "github", "stripe", "generic_hmac", "token"]


class NotVerified(Exception):
    """Not from who it should be from. The text is for the log alone: whoever posts is told nothing of it."""


class Unreadable(Exception):
    """From the right sender, and not what it is documented to send. The text is shown to it."""


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    headers: Mapping[str, str]  # names in lower case
    body: bytes
    at: datetime  # UTC
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """What of a source's configuration verifying, reading and recording need."""

    id: str
    project_id: str
    application_id: str | None
    environment: str | None
    kind: Kind
    verification: Mapping[str, Any]
    event_types: Mapping[str, str]
    replay_window_seconds: int
    rescrape: Mapping[str, Any] | None


@dataclass(frozen=True)
class Message:
    """What a sender said, in our terms."""

    id: str  # the sender's own id of this delivery, else a digest of what makes it itself
    type: str  # the sender's word; the source's `event_types` may call it something else
    data: str  # JSON text that is stored and delivered as it is: what was sent, where that is JSON
    occurred_at: datetime | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)  # what `record` wants of it


class Sender(Protocol):
    """How one kind of sender signs and speaks. Knows no request but the one in hand: one object serves all."""

    def verify(self, received: Received, secrets: Sequence[bytes], source: Source) -> None:
        """Return if it was signed with one of the secrets, else raise NotVerified.

        `secrets` are as they were given or shown (`whsec_…`, a token), in UTF-8: the source's own, then those
        that were rotated out and have not expired. Compared in constant time; a timestamp is checked where the
        sender signs one.
        """

    def read(self, received: Received, source: Source) -> Message:
        """What was said, in what has been verified. Raises Unreadable."""

    def record(self, connection: Connection, source: Source, message: Message, event_id: str) -> Start | None:
        """Keep what the sender's own tables tell of it, in the transaction that stores the event.

        Answers the rescrape that this begins, whose message follows the commit; most begin none.
        Called again for what is known, with the id of the event that there is: what it writes is idempotent.
        """


class NothingToRecord:
    """For senders whose events are all that is kept of them."""

    def record(self, connection: Connection, source: Source, message: Message, event_id: str) -> Start | None:
        return None


@dataclass(frozen=True)
class Json:
    """A body that is strict JSON: what it says, and its text as it came."""

    value: Any
    text: str

    @staticmethod
    def of(body: bytes) -> "Json":
        """Raises Unreadable for what an event's data could not hold: no JSON, twice the same key, NUL, NaN …"""
        try:
            text = body.decode()
            return Json(payload.parse(text), text)
        except UnicodeDecodeError as error:
            raise Unreadable(f"the body is not UTF-8: byte {error.start}") from None
        except ApiError as error:
            raise Unreadable(error.message) from None
