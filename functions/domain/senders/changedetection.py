"""changedetection.io: notifications in the form of our template (docs/changedetection.md).

Its notifications go out through Apprise, which cannot sign. So a token is shown: in a header, which an Apprise URL
names with a leading `+` (https://appriseit.com/services/json/), or as the password in the URL.

- `posts://` sends the notification's body as it is; as JSON, if it is JSON
  (https://github.com/dgtlmoon/changedetection.io/blob/master/changedetectionio/notification/apprise_plugin/custom_handlers.py).
- `jsons://` sends Apprise's envelope `{"version", "title", "message", "attachments", "type"}`, whose `message` is
  the body (https://github.com/caronc/apprise/blob/master/apprise/plugins/custom_json.py).
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection

from functions.domain import change_events
from functions.domain.change_events import Change
from functions.domain.rescraping import Start
from functions.domain.senders import scraped
from functions.domain.senders.base import Json, Message, Received, Source, Unreadable
from functions.domain.senders.signatures import basic, check_any, credentials

TYPE = "change.detected"
TOKEN_HEADER = "x-hookline-token"  # noqa: S105 - a name
ENVELOPE = {"version", "message", "type"}
TOLD = {"triggered_text": 1_000, "watch_title": 1_000, "watch_tag": 1_000, "diff_url": 2_000}  # characters kept
LONG = ("current_snapshot", "prev_snapshot", "diff_full", "diff_patch")  # left out first, where all is too long
SUMMARY = 2_000  # characters
NEEDED = ("watch_uuid", "watch_url", "detected_at", "diff_url", "preview_url")
# What is kept of a notification that is far too long: a character has up to six bytes in JSON.
MOST_FIELDS, MOST_CHARACTERS, FEW_CHARACTERS = 16, 8_000, 2_000
EARLIEST, LATEST = datetime(1990, 1, 1, tzinfo=UTC), timedelta(days=1)


class ChangeDetection:
    """See above."""

    def verify(self, received: Received, secrets: Sequence[bytes], source: Source) -> None:
        """In a header, as a bearer's token, or as the password of basic authentication, whatever the name."""
        _, _, password = basic(received).partition(":")
        shown = [received.headers.get(TOKEN_HEADER, ""), credentials(received, "bearer"), password]
        check_any(shown, [secret.decode() for secret in secrets])

    def read(self, received: Received, source: Source) -> Message:
        """One that tells no time is known by what it says, within the hour in which it comes."""
        said = _template(scraped.read(received.body))
        told: dict[str, Any] = said.value
        watch_id, watch_url = _text(told, "watch_uuid", 255), _text(told, "watch_url", 8_000)
        detected_at = _time(told.get("detected_at"), received.at)
        change = Change(
            watch_id=watch_id,
            watch_url=watch_url,
            detected_at=detected_at or received.at,
            diff_summary=_optional(told, "diff", SUMMARY),
            snapshot_url=_optional(told, "preview_url", 2_000),
            metadata={name: kept for name, most in TOLD.items() if (kept := _optional(told, name, most))},
        )
        return Message(
            id=f"{watch_id}/{detected_at.isoformat() if detected_at else _digest(said, received.at)}",
            type=TYPE,
            data=scraped.fitting(said, *SHORTER),
            occurred_at=detected_at,
            fields={"change": change},
        )

    def record(self, connection: Connection, source: Source, message: Message, event_id: str) -> Start | None:
        return change_events.record(connection, source, message.fields["change"], event_id)


def _template(said: Json) -> Json:
    """What our template says, unwrapped where Apprise put it into its envelope. Raises Unreadable."""
    if "watch_uuid" in said.value or not said.value.keys() >= ENVELOPE:
        return said
    message = said.value["message"]
    if not isinstance(message, str):
        raise Unreadable("`message` is not a text")
    try:
        return scraped.read(message.encode())
    except Unreadable as error:
        raise Unreadable(f"`message` is not what our template makes: {error}") from None


def _text(told: Mapping[str, Any], name: str, most: int) -> str:
    value = told.get(name)
    if not isinstance(value, str) or not value:
        raise Unreadable(f"`{name}` is missing: use the template of docs/changedetection.md")
    if len(value) > most:
        raise Unreadable(f"`{name}` is longer than {most} characters")
    return value


def _optional(told: Mapping[str, Any], name: str, most: int) -> str | None:
    value = told.get(name)
    return value[:most] if isinstance(value, str) and value else None


def _time(told: object, now: datetime) -> datetime | None:
    """When changedetection.io saw the change, to the second; None when that is not told. Raises Unreadable."""
    if told is None or told == "":
        return None
    try:
        at = _parsed(told)
    except (ValueError, OverflowError, OSError):
        raise Unreadable("`detected_at` is no time such as 2026-01-31T12:00:00+0000") from None
    if not EARLIEST <= at <= now + LATEST:
        raise Unreadable(f"`detected_at` cannot be {at.isoformat()}")
    return at


def _parsed(told: object) -> datetime:
    """Seconds since 1970, or ISO 8601; without an offset it is UTC, as `{{ change_datetime }}` has it there."""
    if isinstance(told, int | float) and not isinstance(told, bool):
        return datetime.fromtimestamp(told, UTC)
    if not isinstance(told, str):
        raise ValueError(told)  # noqa: TRY004 - of what a message says
    at = datetime.fromisoformat(told.removesuffix(" UTC"))
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _digest(said: Json, at: datetime) -> str:
    """A page may change to and fro: what says the same is the same change for an hour, not for ever."""
    return f"{at:%Y-%m-%dT%H}/{hashlib.sha256(said.text.encode()).hexdigest()}"


def _without_snapshots(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in LONG}


def _cut(most: int, told: dict[str, Any]) -> dict[str, Any]:
    """What is needed and a few other fields; of texts no more than their beginning."""
    plain = {
        name: value for name, value in _without_snapshots(told).items() if isinstance(value, str | int | float)
    }
    names = [name for name in NEEDED if name in plain] + [name for name in plain if name not in NEEDED]
    kept = {name[:255]: plain[name] for name in names[:MOST_FIELDS]}
    return {name: value[:most] if isinstance(value, str) else value for name, value in kept.items()}


SHORTER = (_without_snapshots, partial(_cut, MOST_CHARACTERS), partial(_cut, FEW_CHARACTERS))
SENDER = ChangeDetection()
