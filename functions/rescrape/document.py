"""The document of a rescrape: as a file, and as the data of the event that tells of it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.domain import documents, payload
from functions.domain.rescraping import Claim
from functions.settings import settings

UNREADABLE = "\ufffd"  # for what Postgres does not take in a text: NUL, and halves of surrogate pairs
STATUS_CODES = range(100, 600)
MOST_ENTRIES = 100  # of metadata: pages may have as many <meta> as they like
MOST_CHARACTERS = 2_000  # of a text in it, and of the title


def key(claim: Claim) -> str:
    """Where the file is: each job has its own, and every try of it the same."""
    return f"{documents.folder(claim.project_id, claim.source_id, claim.id)}{claim.job_id}.json"


def file(document: dict[str, Any]) -> bytes:
    """What Firecrawl calls `data`, whole, as JSON in ASCII: so it holds whatever the page did."""
    return json.dumps(document, separators=(",", ":")).encode()


def event_data(claim: Claim, document: dict[str, Any], stored_bytes: int, link: str) -> str:
    """JSON text of the event's data: with the markdown where that fits, else with a link to the file."""
    metadata = document.get("metadata")
    found: dict[str, Any] = metadata if isinstance(metadata, dict) else {}
    told = {
        "change_event_id": claim.id,
        "job_id": claim.job_id,
        "watch_id": claim.watch_id,
        "url": claim.watch_url,
        "title": _text(found.get("title"), MOST_CHARACTERS),
        "status_code": found.get("statusCode") if found.get("statusCode") in STATUS_CODES else None,
        "document_bytes": stored_bytes,
    }
    seconds = settings().rescraping.link_seconds
    linked = {
        "document_url": link,
        "document_url_expires_at": f"{datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}",
    }
    plain = {"metadata": _plain(found)}
    inline = {"markdown": _text(document.get("markdown"))}
    # The fullest that fits. What does not is in the file.
    for rest in ({**plain, **inline}, {**plain, **linked}):
        if payload.size({**told, **rest}) < settings().rescraping.inline_kib << 10:
            return _json({**told, **rest})
    return _json({**told, "metadata": {}, **linked})


def _plain(metadata: dict[str, Any]) -> dict[str, Any]:
    """What is usually there: texts, numbers and lists of texts. What a page puts there besides is in the file."""
    kept = {name: _value(value) for name, value in metadata.items() if _is_plain(value)}
    return {_clean(name[:MOST_CHARACTERS]): kept[name] for name in list(kept)[:MOST_ENTRIES]}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(one, str) for one in value)
    if isinstance(value, int):
        return abs(value) < 1 << 63
    return value is None or isinstance(value, str | float)


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return _clean(value[:MOST_CHARACTERS])
    if isinstance(value, list):
        return [_clean(one[:MOST_CHARACTERS]) for one in value[:MOST_ENTRIES]]
    return value


def _text(value: Any, most: int | None = None) -> str | None:
    return _clean(value[:most]) if isinstance(value, str) else None


def _clean(value: str) -> str:
    """Text as Postgres takes it."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\x00", UNREADABLE)


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
