"""Firecrawl's scrape API: one page, asked for again while that makes sense and there is time (B7: 120 s).

What it takes and answers: https://docs.firecrawl.dev/api-reference/endpoint/scrape. Which of its errors are worth
another try: https://docs.firecrawl.dev/api-reference/errors.
"""

import json
import math
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from functions import VERSION
from functions.adapters import guarded
from functions.adapters.guarded import Answer
from functions.domain import retry_after, urls
from functions.rescrape.failures import Failure
from functions.settings import settings
from functions.telemetry import logger

PATH = "/v2/scrape"
# Between four tries in one go, as its documentation wants it; what is down for longer is tried again in minutes.
PAUSES_SECONDS = (1.0, 2.0, 4.0)
LEAST_SECONDS = 10.0  # a page takes some seconds: with less left, nothing is begun
OWN_SECONDS = 5.0  # Firecrawl is to give up so long before us: then it says why
TIMEOUT, TOO_MANY = 408, 429
MOST_WORDS = 300  # characters of what Firecrawl says


@dataclass(frozen=True)
class Page:
    """What is to be scraped, by whose account."""

    api_url: str
    api_key: str
    url: str
    formats: tuple[str, ...]


@dataclass(eq=False)
class Unready(Exception):
    """An answer that is no document. `soon`: the same request may be made again at once."""

    failure: Failure
    soon: bool = False


def scrape(page: Page, ends_at: float) -> dict[str, Any]:
    """The document: what Firecrawl calls `data`. Raises Failure; it takes no longer than until `ends_at`."""
    endpoint = _endpoint(page.api_url)
    for pause in (*PAUSES_SECONDS, None):
        try:
            return _once(endpoint, page, ends_at)
        except Unready as unready:
            failure = unready.failure
            if not unready.soon or pause is None:
                raise failure from None
            wait = max(failure.after_seconds, pause + random.random())  # noqa: S311 - no secret
            if time.monotonic() + wait + LEAST_SECONDS > ends_at:
                raise failure from None
        logger.info("scrape tried again", reason=failure.reason, after_seconds=wait)
        time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def _endpoint(api_url: str) -> str:
    """Checked again: the deployment's policy may have changed since the source's was written."""
    try:
        return urls.stored(api_url.rstrip("/") + PATH)
    except ValueError as error:
        raise Failure("api_url_refused", f"the policy's api_url {error}") from None


def _once(endpoint: str, page: Page, ends_at: float) -> dict[str, Any]:
    seconds = ends_at - time.monotonic() - OWN_SECONDS
    # Firecrawl answers from its cache what it knows from the last two days, unless it is told otherwise: what
    # changed is wanted as it is now.
    body = {"url": page.url, "formats": list(page.formats), "maxAge": 0, "timeout": int(max(seconds, 1) * 1000)}
    headers = {"authorization": f"Bearer {page.api_key}", "user-agent": f"Hookline/{VERSION}"}
    most = settings().rescraping.answer_mib << 20
    try:
        answer = guarded.post(endpoint, json=body, headers=headers, ends_at=ends_at, most_bytes=most)
    except guarded.RefusedAddressError as error:
        raise Unready(Failure("address_refused", str(error))) from None
    except guarded.TooLargeError as error:
        raise Unready(Failure("answer_too_large", f"the document is too large: {error}")) from None
    except guarded.TimeIsUpError:
        raise Unready(Failure("timeout", "no whole answer in time", is_passing=True)) from None
    except guarded.BrokenConnectionError as error:
        raise Unready(Failure("connection_failed", str(error), is_passing=True), soon=True) from None
    return _document(answer, page.api_key)


def _document(answer: Answer, api_key: str) -> dict[str, Any]:
    """Raises Unready."""
    read = _parsed(answer.body)
    if answer.status != 200:
        raise _refused(answer, _words(read, api_key))
    if read is None or (read.get("success") is True and not isinstance(read.get("data"), dict)):
        raise Unready(Failure("invalid_answer", "the answer is not what Firecrawl documents", is_passing=True))
    if read.get("success") is not True:
        raise Unready(Failure("scrape_failed", _words(read, api_key) or "Firecrawl does not say why"))
    return dict(read["data"])


def _refused(answer: Answer, words: str) -> Unready:
    """By its status, as Firecrawl's own documentation says what is worth another try."""
    status = answer.status
    code, said = f"http_{status}", f"Firecrawl answered {status}" + (f": {words}" if words else "")
    if 300 <= status < 400:
        return Unready(Failure(code, f"{said}; redirects are not followed"))
    if status == TIMEOUT:
        return Unready(Failure(code, said, is_passing=True, after_seconds=_asked_wait(answer)))
    if status == TOO_MANY or status >= 500:
        return Unready(Failure(code, said, is_passing=True, after_seconds=_asked_wait(answer)), soon=True)
    return Unready(Failure(code, said))


def _asked_wait(answer: Answer) -> int:
    """Seconds that `Retry-After` asks for."""
    asked = retry_after.parse(answer.headers.get("retry-after", ""), datetime.now(UTC))
    return int(asked.total_seconds()) if asked is not None else 0


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        read = json.loads(body, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _refuse(name: str) -> NoReturn:
    """NaN and Infinity, which Python takes for JSON and nobody else does."""
    raise ValueError(f"{name} is no number that JSON has")


def _finite(number: str) -> float:
    """1e999 is JSON, but infinity to Python, which would write it as such."""
    found = float(number)
    return found if math.isfinite(found) else _refuse(number)


def _words(read: dict[str, Any] | None, api_key: str) -> str:
    """What Firecrawl says went wrong; never the key, should it be repeated there."""
    if read is None:
        return ""
    said = " ".join(str(read[name]) for name in ("code", "error") if isinstance(read.get(name), str))
    return said.replace(api_key, "***")[:MOST_WORDS]
