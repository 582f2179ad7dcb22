"""Messages of Firecrawl: whose they are, and what they say."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.domain import payload as limits
from functions.domain.crawls import News
from functions.domain.senders.base import Message, NotVerified, Received, Source, Unreadable
from functions.domain.senders.firecrawl import SENDER
from tests.integration.inbound_scene import PAYLOADS, SECRET, payload, signed

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SOURCE = Source("s", "p", None, None, "firecrawl", {}, {}, 300, None)
PUBLISHED = sorted(path.name.removesuffix(".json") for path in (PAYLOADS / "firecrawl").glob("*.json"))


def read(told: Any) -> Message:
    return SENDER.read(Received({}, json.dumps(told).encode(), NOW), SOURCE)


def news(told: dict[str, Any]) -> News:
    found = read(told).fields["news"]
    assert isinstance(found, News)
    return found


def of_page(**about: Any) -> dict[str, Any]:
    return payload("crawl.page") | {"data": [{"markdown": "#", "metadata": about}]}


def test_what_the_documentation_s_own_code_signs_is_verified() -> None:
    """`hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()` behind `sha256=`."""
    body = b'{"type": "crawl.started"}'
    digest = hmac.new(b"whs", body, hashlib.sha256).hexdigest()
    SENDER.verify(Received({"x-firecrawl-signature": f"sha256={digest}"}, body, NOW), [b"old", b"whs"], SOURCE)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_bit_changed_anywhere_is_refused(name: str) -> None:
    body = json.dumps(payload(name)).encode()
    headers = signed(body)
    SENDER.verify(Received(headers, body, NOW), [SECRET], SOURCE)
    for at in range(0, len(body) * 8, 7):
        changed = bytearray(body)
        changed[at // 8] ^= 1 << at % 8
        with pytest.raises(NotVerified):
            SENDER.verify(Received(headers, bytes(changed), NOW), [SECRET], SOURCE)
    signature = headers["x-firecrawl-signature"]
    for at in range(len(signature)):
        other = signature[:at] + chr(ord(signature[at]) ^ 1) + signature[at + 1 :]
        with pytest.raises(NotVerified):
            SENDER.verify(Received({"x-firecrawl-signature": other}, body, NOW), [SECRET], SOURCE)


@pytest.mark.parametrize("shown", [{}, {"x-firecrawl-signature": ""}, {"x-firecrawl-signature": "sha256="}])
def test_without_a_signature_nothing_is_verified(shown: dict[str, str]) -> None:
    with pytest.raises(NotVerified):
        SENDER.verify(Received(shown, b"{}", NOW), [SECRET], SOURCE)


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_published_becomes_an_event_of_its_own_name(name: str) -> None:
    told = payload(name)
    found = read(told)
    assert found.type == told["type"]
    assert json.loads(found.data) == told
    assert (found.fields["news"] is not None) == told["type"].startswith(("crawl.", "batch_scrape."))


def test_all_published_messages_are_different_events() -> None:
    assert len({read(payload(name)).id for name in PUBLISHED}) == len(PUBLISHED)


def test_a_page_is_itself_by_its_scrape_whatever_the_message_is_called() -> None:
    one = of_page(scrapeId="s-1", sourceURL="https://x/a")
    again = of_page(scrapeId="s-1", sourceURL="https://x/b") | {"webhookId": "w-2"}
    other = of_page(scrapeId="s-2", sourceURL="https://x/a")
    assert read(one).id == read(again).id
    assert news(one).pages[0].hash == news(again).pages[0].hash
    assert read(one).id != read(other).id


def test_without_a_scrape_a_crawl_s_page_is_its_url_and_a_batch_s_its_message() -> None:
    one = of_page(sourceURL="https://x/a") | {"webhookId": "w-1"}
    other = one | {"webhookId": "w-2"}
    assert read(one).id == read(other).id
    batch = {"type": "batch_scrape.page"}
    assert read(one | batch).id != read(other | batch).id
    assert read(one | batch).id == read(one | batch).id


@pytest.mark.parametrize(
    ("about", "more", "failed"),
    [
        ({"statusCode": 200}, {}, False),
        ({"statusCode": 304}, {}, False),
        ({"statusCode": 399}, {}, False),
        ({"statusCode": 400}, {}, True),
        ({"statusCode": 503}, {}, True),
        ({"error": "timed out"}, {}, True),
        ({}, {"error": "no engine"}, True),
        ({}, {"success": False}, True),
        ({"statusCode": "404"}, {}, False),
    ],
)
def test_which_pages_failed(about: dict[str, Any], more: dict[str, Any], failed: bool) -> None:
    assert [page.failed for page in news(of_page(**about) | more).pages] == [failed]


def test_the_published_failure_is_a_failed_page_of_its_url() -> None:
    [page] = news(payload("crawl.page.failed")).pages
    assert page.failed
    assert page.credits == 0


@pytest.mark.parametrize(
    ("told", "credits"), [(1, 1), (5.4, 5), (-3, 0), ("7", 0), (None, 0), (True, 0), (1e12, 1_000_000)]
)
def test_credits_are_what_can_be_credits(told: Any, credits: int) -> None:
    assert news(of_page(scrapeId="s", creditsUsed=told)).pages[0].credits == credits


def test_where_a_crawl_began_is_told_by_its_metadata_or_its_first_page() -> None:
    told = of_page(sourceURL="https://docs.example.com/a/b?c")
    assert news(told).base_url == "https://docs.example.com"
    assert (
        news(told | {"metadata": {"base_url": "https://example.com/docs"}}).base_url == "https://example.com/docs"
    )
    assert news(told | {"type": "batch_scrape.page"}).base_url is None
    assert news(of_page(sourceURL="http://[broken")).base_url is None


def test_a_page_that_is_larger_than_an_event_leaves_its_contents_out() -> None:
    told = payload("crawl.page")
    told["data"][0] |= {"markdown": "ä" * 300_000, "rawHtml": "<p>", "links": ["https://x/"]}
    body = json.dumps(told, ensure_ascii=False).encode()
    found = SENDER.read(Received({}, body, NOW), SOURCE)
    data = json.loads(found.data)
    assert data["truncated"] is True
    assert data["size"] == len(body)
    assert data["data"] == [{"metadata": payload("crawl.page")["data"][0]["metadata"]}]
    assert {name: data[name] for name in ("id", "type", "success")} == {
        "id": told["id"],
        "type": "crawl.page",
        "success": True,
    }
    assert found.id == read(payload("crawl.page")).id
    assert found.fields["news"].pages[0].bytes == len(body)


def test_even_of_a_page_with_boundless_metadata_there_is_an_event() -> None:
    told = of_page(scrapeId="s-1", title="t" * 400_000, **{f"og:{n}": "x" * 100_000 for n in range(4)})
    data = json.loads(read(told).data)
    assert limits.size(data) < limits.MAX_DATA_BYTES
    assert data["data"][0]["metadata"] == {"scrapeId": "s-1", "title": "t" * 500}


def test_of_many_pages_in_one_message_there_is_an_event_and_all_are_counted() -> None:
    one = {"metadata": dict.fromkeys(("sourceURL", "url", "title", "error", "contentType"), "\x01" * 3_000)}
    pages = [{"metadata": one["metadata"] | {"scrapeId": f"s-{n}"}} for n in range(50)]
    found = read(payload("crawl.page") | {"data": pages})
    data = json.loads(found.data)
    assert data["truncated"] is True
    assert limits.size(data) < limits.MAX_DATA_BYTES
    assert len({page.hash for page in found.fields["news"].pages}) == 50
    assert sum(page.bytes for page in found.fields["news"].pages) == data["size"]


def test_what_a_page_says_and_postgres_cannot_store_is_replaced() -> None:
    body = b'{"type":"crawl.page","id":"j","success":true,"data":[{"markdown":"a\\u0000b\\ud800c\\ud83d\\ude00"}]}'
    data = json.loads(SENDER.read(Received({}, body, NOW), SOURCE).data)
    assert data["data"][0]["markdown"] == "a\ufffdb\ufffdc\U0001f600"


def test_what_a_page_says_and_postgres_can_store_stays_as_it_was_sent() -> None:
    body = b'{ "type":"crawl.page", "id":"j","n":1.10,"data":[{"markdown":"\\ud83d\\ude00 \\\\ud83d"}]}'
    assert SENDER.read(Received({}, body, NOW), SOURCE).data == body.decode()
    with pytest.raises(Unreadable, match="twice"):
        SENDER.read(Received({}, body.replace(b'"n"', b'"id"'), NOW), SOURCE)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b"1",
        b"{}",
        b'{"type":"crawl.page"}',
        b'{"type":1,"id":"j"}',
        b"\xff{}",
        b'{"a":NaN}',
        b'{"type": "crawl.page", "id": "' + b"j" * 256 + b'"}',
        b"[" * 100_000,
        b'{"a":"\\u0000"' + b"[" * 100_000,
    ],
)
def test_what_cannot_be_read_says_so(body: bytes) -> None:
    with pytest.raises(Unreadable):
        SENDER.read(Received({}, body, NOW), SOURCE)


@pytest.mark.parametrize("data", [None, {}, "text", [1, None], [{"metadata": 3}], [{"metadata": {"url": 3}}]])
def test_a_page_of_an_unknown_shape_is_one_page(data: Any) -> None:
    found = news(payload("crawl.page") | {"data": data})
    assert len(found.pages) >= 1
    assert all(len(page.hash) == 16 for page in found.pages)
