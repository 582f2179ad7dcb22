"""Firecrawl: its webhooks of crawls and batch scrapes, and of whatever else it tells.

`X-Firecrawl-Signature: sha256=<hex>` is the HMAC-SHA256 of the raw body
(https://docs.firecrawl.dev/webhooks/security). It signs no time: a message that is played again is the same
message, and changes nothing. The messages are those of https://docs.firecrawl.dev/webhooks/events; `webhookId` is
the same when one is tried again (https://docs.firecrawl.dev/api-reference/endpoint/webhook-crawl-started).
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast, get_args
from urllib.parse import urlsplit

from sqlalchemy import Connection

from functions.domain import crawls, payload
from functions.domain.crawls import End, Kind, News, Page
from functions.domain.rescraping import Start
from functions.domain.senders import scraped
from functions.domain.senders.base import Json, Message, Received, Source, Unreadable
from functions.domain.senders.signatures import check_any, header

HASH_BYTES = 16
MOST_CREDITS = 1_000_000  # of one page: more is no number of credits
MOST_PAGES = 2_147_483_647
MOST_METADATA_BYTES = 16 << 10
FIRST_FAILURE = 400  # the first status that says that there is no such page
SHORT = 500  # characters that are kept of a text where all of it is too long
MOST_BARE = 10  # pages of a message that are told of then: with six texts each, of six bytes a character
IDENTIFYING_JOB: tuple[str, ...] = ("success", "type", "id", "webhookId", "error")
IDENTIFYING = ("scrapeId", "sourceURL", "url", "title", "statusCode", "contentType", "error", "creditsUsed")


class Firecrawl:
    """See above."""

    def verify(self, received: Received, secrets: Sequence[bytes], source: Source) -> None:
        given = header(received, "X-Firecrawl-Signature")
        check_any([given], ["sha256=" + hmac.digest(key, received.body, "sha256").hex() for key in secrets])

    def read(self, received: Received, source: Source) -> Message:
        said = scraped.read(received.body)
        told: dict[str, Any] = said.value
        type = _text(told, "type")
        kind, _, phase = type.rpartition(".")
        is_crawl = kind in get_args(Kind)
        news = _news(told, kind, phase, received) if is_crawl else None
        return Message(
            id=f"{type}/{_identity(told, phase, news, said)}",
            type=type,
            data=scraped.fitting(said, _without_contents, _bare),
            fields={"news": news},
        )

    def record(
        self,
        connection: Connection,
        source: Source,
        message: Message,
        event_id: str,
    ) -> Start | None:
        """What is not of a crawl or a batch scrape is an event and no more."""
        if message.fields["news"] is not None:
            crawls.record(connection, source, message.fields["news"])
        return None


SENDER = Firecrawl()


def _news(told: dict[str, Any], kind: Any, phase: str, received: Received) -> News:
    """What it tells of the job. Raises Unreadable."""
    documents = told["data"] if isinstance(told.get("data"), list) else []
    news = News(
        job_id=_text(told, "id"),
        kind=kind,
        at=received.at,
        base_url=_base_url(told, kind, documents),
        metadata=_metadata(told),
    )
    if phase == "started":
        return replace(news, started=True)
    if phase == "page":
        return replace(news, pages=_pages(told, kind, len(received.body), documents or [{}]))
    if phase not in get_args(End):
        return news
    ended = cast(End, phase)
    success = told.get("success", ended == "completed") is True
    return replace(news, ended=ended, success=success, error=_error(told), pages_total=_total(told, documents))


def _pages(told: dict[str, Any], kind: Kind, size: int, documents: list[Any]) -> list[Page]:
    """The pages of one message: one, as a rule. All of its bytes are the first one's."""
    found = []
    for number, document in enumerate(documents):
        about = _object(_object(document).get("metadata"))
        status = about.get("statusCode")
        refused = isinstance(status, int | float) and status >= FIRST_FAILURE
        failed = told.get("success") is False or refused or bool(about.get("error") or told.get("error"))
        hash = hashlib.sha256(_page(told, kind, about, number).encode()).digest()[:HASH_BYTES]
        found.append(Page(hash, failed, 0 if number else size, _credits(about.get("creditsUsed"))))
    return found


def _page(told: dict[str, Any], kind: Kind, about: dict[str, Any], number: int) -> str:
    """What makes a page itself: the id of its scrape, which failures do not tell: they have a URL alone
    (https://github.com/firecrawl/firecrawl/pull/2107). A crawl visits each URL once, while a batch may name one
    twice; there the message has an id of its own.
    """
    url = about.get("sourceURL") or about.get("url")
    if scrape := about.get("scrapeId"):
        return f"scrape {scrape}"
    if kind == "crawl" and url:
        return f"url {url}"
    if webhook := told.get("webhookId"):
        return f"message {webhook} {number}"
    return f"url {url}" if url else f"error {told.get('error')} {number}"


def _identity(told: dict[str, Any], phase: str, news: News | None, said: Json) -> str:
    """The same for whatever is the same event, however often and in whatever form it is told.

    A job starts and ends once, and a page is scraped once. A failure of a job may be told more than once, of
    several pages: then each is itself.
    """
    if news is not None and news.pages:
        pages = b"".join(sorted(page.hash for page in news.pages))
        return f"{news.job_id}/{hashlib.sha256(pages).hexdigest()[:32]}"
    if news is not None and phase in {"started", "completed", "cancelled"}:
        return news.job_id
    if isinstance(told.get("webhookId"), str) and told["webhookId"]:
        return str(told["webhookId"])
    return hashlib.sha256(said.text.encode()).hexdigest()


def _base_url(told: dict[str, Any], kind: Kind, documents: Any) -> str | None:
    """Where the crawl began, if its webhook's own metadata say so; else the site of the page that came first.

    A batch has no such place.
    """
    if isinstance(named := _object(told.get("metadata")).get("base_url"), str) and named:
        return named[:2_000]
    if kind != "crawl" or not documents:
        return None
    about = _object(_object(documents[0]).get("metadata"))
    try:
        parts = urlsplit(str(about.get("sourceURL") or about.get("url") or ""))
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}"[:2_000] if parts.scheme and parts.netloc else None


def _total(told: dict[str, Any], documents: Any) -> int | None:
    """How many pages the job says there were: v2 says nothing of it, older releases send them all at the end."""
    total = told.get("total")
    if isinstance(total, int) and not isinstance(total, bool) and 0 <= total <= MOST_PAGES:
        return total
    return len(documents) or None


def _credits(told: object) -> int:
    if not isinstance(told, int | float) or isinstance(told, bool):
        return 0
    return round(min(max(told, 0), MOST_CREDITS))


def _metadata(told: dict[str, Any]) -> dict[str, Any]:
    """What the caller of Firecrawl gave the job, of a reasonable size."""
    given = _object(told.get("metadata"))
    return given if payload.size(given) <= MOST_METADATA_BYTES else {}


def _error(told: dict[str, Any]) -> str | None:
    return str(told["error"])[:2_000] if told.get("error") else None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(told: dict[str, Any], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 255:  # what its column takes
        raise Unreadable(f"`{name}` is missing, or no text of up to 255 characters")
    return value


def _without_contents(told: dict[str, Any]) -> dict[str, Any]:
    """Of each page only what is said about it: no markdown, html, rawHtml, links, screenshot, json …"""
    documents = told.get("data")
    if not isinstance(documents, list):
        return {**told, "data": []}
    return {**told, "data": [{"metadata": _object(_object(one).get("metadata"))} for one in documents]}


def _bare(told: dict[str, Any]) -> dict[str, Any]:
    """Only what identifies it, and of each text its beginning."""
    kept = {name: told[name] for name in IDENTIFYING_JOB if name in told}
    documents = told["data"][:MOST_BARE] if isinstance(told.get("data"), list) else []
    about = [_object(_object(one).get("metadata")) for one in documents]
    pages = [{"metadata": _beginnings({n: one[n] for n in IDENTIFYING if n in one})} for one in about]
    return _beginnings(kept) | {"data": pages}


def _beginnings(values: dict[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in values.items() if not isinstance(value, dict | list)}
    return {name: value[:SHORT] if isinstance(value, str) else value for name, value in plain.items()}
