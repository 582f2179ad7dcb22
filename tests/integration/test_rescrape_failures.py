"""Firecrawl that misbehaves: what is tried again at once, what later, what never, and that it is over in time."""

import gzip
import time
from collections.abc import Callable
from typing import Any

import pytest

from functions.dispatch import handler as dispatch
from functions.rescrape.scrape import Page, scrape
from tests.integration.conftest import Context
from tests.integration.firecrawl import (
    KEY,
    MARKDOWN,
    Handler,
    drip_body,
    drip_headers,
    error,
    hang,
    raw,
    reset,
)
from tests.integration.rescrape_scene import WATCH_URL, Scene, at_once, configured, scene

__all__ = ["at_once", "configured", "scene"]

CREDITS = "Payment Required: Insufficient credits"
NEVER: dict[str, tuple[Callable[[Handler], None], str]] = {
    "400": (error(400, "Bad Request"), "http_400: Firecrawl answered 400: Bad Request"),
    "401": (error(401, "Unauthorized: Invalid token"), "http_401: Firecrawl answered 401: Unauthorized"),
    "402": (error(402, CREDITS), f"http_402: Firecrawl answered 402: {CREDITS}"),
    "403": (error(403, "We do not support this site", "UNSUPPORTED_SITE"), "http_403: "),
    "404": (raw(404, b"<html>no API here</html>"), "http_404: Firecrawl answered 404"),
    "redirect": (
        raw(302, b"", location="http://169.254.169.254/latest/meta-data/"),
        "http_302: Firecrawl answered 302; redirects are not followed",
    ),
    "redirect, and megabytes": (raw(302, b"x" * (2 << 20), location="http://["), "http_302: "),
    "not a success": (
        error(200, "DNS resolution failed for hostname", "SCRAPE_DNS_RESOLUTION_ERROR"),
        "scrape_failed: SCRAPE_DNS_RESOLUTION_ERROR DNS resolution failed",
    ),
    "not a success, without a reason": (raw(200, {"success": False}), "scrape_failed: Firecrawl does not say why"),
}
LATER: dict[str, tuple[Callable[[Handler], None], str]] = {
    "408": (error(408, "Scrape timed out", "SCRAPE_TIMEOUT"), "http_408: Firecrawl answered 408: SCRAPE_TIMEOUT"),
    "no JSON": (raw(200, b'{"success": true, "data": {"markd'), "invalid_answer: "),
    "what is not JSON to others": (raw(200, b'{"success": true, "data": {"n": NaN}}'), "invalid_answer: "),
    "what is infinite to some": (raw(200, b'{"success": true, "data": {"n": 1e999}}'), "invalid_answer: "),
    "compressed, though not asked for": (
        raw(200, gzip.compress(b'{"success": true, "data": {}}'), content_encoding="gzip"),
        "invalid_answer: ",
    ),
    "a list": (raw(200, []), "invalid_answer: "),
    "no document": (raw(200, {"success": True}), "invalid_answer: "),
    "nested too deep": (raw(200, b"[" * 100_000), "invalid_answer: "),
}
SOON: dict[str, tuple[Callable[[Handler], None], str]] = {
    "500": (error(500, "All scraping engines failed!", "SCRAPE_ALL_ENGINES_FAILED"), "http_500: "),
    "502": (raw(502, b"<html>Bad Gateway</html>"), "http_502: Firecrawl answered 502"),
    "503": (error(503, "Service Unavailable"), "http_503: "),
    "429": (error(429, "Rate limit exceeded"), "http_429: Firecrawl answered 429: Rate limit exceeded"),
    "reset": (reset, "connection_failed: "),
}


@pytest.mark.parametrize("what", NEVER)
def test_what_will_not_change_is_not_asked_again(scene: Scene, at_once: list[float], what: str) -> None:
    answer, reason = NEVER[what]
    scene.firecrawl.answers = [answer]
    started = scene.started()
    scene.run()
    row = scene.row(started.id)
    assert (row["rescrape_status"], row["rescrape_attempts"]) == ("failed", 1)
    assert row["rescrape_error"].startswith(reason)
    assert row["rescrape_finished_at"] is not None
    assert (len(scene.firecrawl.requests), at_once, scene.events(), scene.messages()) == (1, [], [], [])


@pytest.mark.parametrize("what", LATER)
def test_what_may_pass_is_tried_once_more_later(scene: Scene, at_once: list[float], what: str) -> None:
    answer, reason = LATER[what]
    scene.firecrawl.answers = [answer]
    started = scene.started()
    scene.run()
    row = scene.row(started.id)
    assert (row["rescrape_status"], row["rescrape_attempts"]) == ("queued", 1)
    assert row["rescrape_error"].startswith(reason)
    assert (len(scene.firecrawl.requests), at_once) == (1, [])
    _finish(scene, started.id, attempts=2)


@pytest.mark.parametrize("what", SOON)
def test_what_is_over_in_a_moment_is_tried_at_once(scene: Scene, at_once: list[float], what: str) -> None:
    answer, _ = SOON[what]
    scene.firecrawl.answers = [answer, answer]
    started = scene.started()
    scene.run()
    row = scene.row(started.id)
    assert (row["rescrape_status"], row["rescrape_attempts"], row["rescrape_error"]) == ("completed", 1, None)
    assert [int(pause) for pause in at_once] == [1, 2]
    assert len(scene.events()) == 1


@pytest.mark.parametrize("what", SOON)
def test_and_later_when_it_is_not(scene: Scene, at_once: list[float], what: str) -> None:
    answer, reason = SOON[what]
    scene.firecrawl.answers = [answer] * 4
    started = scene.started()
    scene.run()
    row = scene.row(started.id)
    assert (row["rescrape_status"], row["rescrape_attempts"]) == ("queued", 1)
    assert row["rescrape_error"].startswith(reason)
    assert [int(pause) for pause in at_once] == [1, 2, 4]
    _finish(scene, started.id, attempts=2)


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_that_is_asked_for_is_kept(scene: Scene, at_once: list[float], status: int) -> None:
    scene.firecrawl.answers = [error(status, "not now", retry_after="17")]
    started = scene.started()
    scene.run()
    assert at_once == [17]
    assert scene.row(started.id)["rescrape_status"] == "completed"


def test_a_wait_beyond_the_budget_is_made_on_the_queue(scene: Scene, at_once: list[float]) -> None:
    scene.firecrawl.answers = [error(429, "Rate limit exceeded", retry_after="600")]
    started = scene.started()
    scene.run()
    assert (at_once, scene.messages()) == ([], []), "its message comes in ten minutes"
    ((seconds,),) = scene.service.sql.run(
        "SELECT extract(epoch FROM rescrape_sweep_at - now()) FROM webhook.change_events"
    )
    assert 600 < seconds < 700
    assert scene.row(started.id)["rescrape_status"] == "queued"


def test_tries_end(scene: Scene, at_once: list[float]) -> None:
    answer, reason = LATER["no JSON"]
    scene.firecrawl.answers = [answer] * 5
    started = scene.started(max_attempts=2)
    scene.run()
    _again(scene, started.id)
    row = scene.row(started.id)
    assert (row["rescrape_status"], row["rescrape_attempts"]) == ("failed", 2)
    assert row["rescrape_error"].startswith(reason)
    assert len(scene.firecrawl.requests) == 2


@pytest.mark.parametrize("act", [hang, drip_body, drip_headers])
def test_it_is_over_when_its_time_is_up(
    scene: Scene, configured: Callable[..., None], act: Callable[[Handler], None]
) -> None:
    """Whatever still comes, byte by byte: it would never end by a timeout for each of them."""
    configured(RESCRAPE_BUDGET_SECONDS=2)
    scene.firecrawl.answers = [act]
    started = scene.started()
    began = time.monotonic()
    scene.run()
    assert time.monotonic() - began < 20, "the stand-in would go on for more than an hour"
    row = scene.row(started.id)
    assert (row["rescrape_status"], row["rescrape_error"]) == ("queued", "timeout: no whole answer in time")
    _finish(scene, started.id, attempts=2)


def test_nothing_is_begun_that_cannot_be_finished(scene: Scene, configured: Callable[..., None]) -> None:
    configured(RESCRAPE_BUDGET_SECONDS=5)
    scene.firecrawl.answers = [error(503, "Service Unavailable")]
    scene.started()
    scene.run()
    assert len(scene.firecrawl.requests) == 1, "there is no time for a second try"


def test_a_document_is_not_read_without_end(scene: Scene, configured: Callable[..., None]) -> None:
    configured(RESCRAPE_ANSWER_MIB=1)
    scene.firecrawl.markdown = "x" * (2 << 20)
    started = scene.started()
    scene.run()
    row = scene.row(started.id)
    assert (row["rescrape_status"], row["document_key"]) == ("failed", None)
    assert row["rescrape_error"] == "answer_too_large: the document is too large: more than 1048576 bytes"


@pytest.mark.parametrize(
    ("api_url", "reason"),
    [
        ("http://169.254.169.254", "api_url_refused: the policy's api_url must not point into a private"),
        ("http://10.0.0.7:8080/", "api_url_refused: "),
        ("ftp://127.0.0.1", "api_url_refused: the policy's api_url must begin with http"),
        ("http://user:pass@127.0.0.1", "api_url_refused: the policy's api_url must not hold credentials"),
        ("http://no-such-host.invalid", "connection_failed: "),
    ],
)
def test_api_urls_are_bound_as_webhooks_are(scene: Scene, at_once: list[float], api_url: str, reason: str) -> None:
    started = scene.started(api_url=api_url)
    scene.run()
    assert scene.row(started.id)["rescrape_error"].startswith(reason)


def test_a_name_is_judged_by_the_address_it_leads_to(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = []

    def resolved(host: str, port: int, **_: Any) -> list[Any]:
        answers.append(host)
        return [(2, 1, 6, "", ("169.254.169.254", port))]

    monkeypatch.setattr("functions.adapters.guarded.socket.getaddrinfo", resolved)
    started = scene.started(api_url="https://api.firecrawl.example")
    scene.run()
    row = scene.row(started.id)
    assert (row["rescrape_status"], answers) == ("failed", ["api.firecrawl.example"])
    assert row["rescrape_error"].startswith("address_refused: api.firecrawl.example is at no address")


def test_loopback_is_for_deployments_that_allow_it(scene: Scene, configured: Callable[..., None]) -> None:
    configured(EGRESS_ALLOWED_NETWORKS="")
    started = scene.started()
    scene.run()
    assert scene.row(started.id)["rescrape_error"].startswith("api_url_refused: ")
    assert scene.firecrawl.requests == []


def test_no_proxy_is_taken_from_the_environment(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    page = Page(scene.firecrawl.url, KEY, WATCH_URL, ("markdown",))
    assert scrape(page, time.monotonic() + 20)["markdown"] == MARKDOWN


def _again(scene: Scene, id: str) -> None:
    """Its next try: the message waits on the queue, so dispatch's stands in for it."""
    scene.lapse(id)
    assert dispatch.handler({}, Context())["rescrapes"] == 1
    assert scene.run() == 1


def _finish(scene: Scene, id: str, *, attempts: int) -> None:
    _again(scene, id)
    row = scene.row(id)
    assert (row["rescrape_status"], row["rescrape_attempts"], row["rescrape_error"]) == (
        "completed",
        attempts,
        None,
    )
    assert len(scene.events()) == 1
