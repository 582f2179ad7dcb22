"""Notifications of changedetection.io, rendered from the documented template as it renders them."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from functions.domain import payload as limits
from functions.domain.change_events import Change
from functions.domain.senders.base import Message, NotVerified, Received, Source, Unreadable
from functions.domain.senders.changedetection import SENDER

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
SOURCE = Source("s", "p", None, None, "changedetection", {}, {}, 300, None)
DOCS = Path(__file__).parents[4] / "docs" / "changedetection.md"
NAUGHTY = (
    'she said "no"',
    "two\nlines\r\nand\ttabs",
    "back\\slash \\n \\u0041",
    "Ünïcödé 漢字 🎉 \u2028",
    "{{ watch_url }} {% raw %} }}",
    "<b>&amp; 'quoted'</b>",
    '", "watch_url": "https://evil.example/", "x": "',
    "a\x00b",
)
VARIABLES: dict[str, Any] = {
    "watch_uuid": "6a4b7e38-5a7e-4d2c-9a0e-3f1c2b7d8e90",
    "watch_url": "https://example.com/pricing",
    "watch_title": "Pricing",
    "watch_tag": "competitors",
    "triggered_text": "",
    "diff": "(changed) $49\n(into) $59",
    "diff_url": "https://changes.example.com/diff/6a4b7e38",
    "preview_url": "https://changes.example.com/preview/6a4b7e38",
}


class Timestamp(str):
    """As changedetection.io's FormattableTimestamp: a text that can be called with a format."""

    __slots__ = ()

    def __call__(self, format: str = "%Y-%m-%d %H:%M:%S %Z") -> str:
        return (NOW - timedelta(minutes=5)).strftime(format)


def template() -> str:
    """The body that the documentation says to paste."""
    blocks = re.split("^ *```.*\n", DOCS.read_text(), flags=re.M)[1::2]
    [found] = [block for block in blocks if '"watch_uuid"' in block]
    return re.sub("^   ", "", found, flags=re.M)


def rendered(**values: Any) -> str:
    """As changedetectionio/jinja2_custom/safe_jinja.py renders it, in plain text."""
    given = VARIABLES | {"change_datetime": Timestamp("2026-11-20 12:25:00 UTC")} | values
    return ImmutableSandboxedEnvironment().from_string(template()).render(given)


def enveloped(message: str) -> str:
    """As Apprise's `jsons://` sends it."""
    return json.dumps({"version": "1.0", "title": "t", "message": message, "attachments": [], "type": "info"})


def read(body: str | dict[str, Any], at: datetime = NOW) -> Message:
    text = body if isinstance(body, str) else json.dumps(body)
    return SENDER.read(Received({}, text.encode(), at), SOURCE)


def change(found: Message) -> Change:
    made = found.fields["change"]
    assert isinstance(made, Change)
    return made


def test_the_documented_template_is_read() -> None:
    found = read(rendered())
    assert found.type == "change.detected"
    assert found.occurred_at == NOW - timedelta(minutes=5)
    assert change(found) == Change(
        watch_id=VARIABLES["watch_uuid"],
        watch_url=VARIABLES["watch_url"],
        detected_at=NOW - timedelta(minutes=5),
        diff_summary=VARIABLES["diff"],
        snapshot_url=VARIABLES["preview_url"],
        metadata={name: VARIABLES[name] for name in ("watch_title", "watch_tag", "diff_url")},
    )
    assert found.data == rendered()


@pytest.mark.parametrize("wrap", [str, enveloped])
@pytest.mark.parametrize("naughty", NAUGHTY)
@pytest.mark.parametrize("name", VARIABLES)
def test_whatever_a_variable_holds_stays_in_its_field(name: str, naughty: str, wrap: Any) -> None:
    found = read(wrap(rendered(**{name: naughty})))
    expected = VARIABLES | {name: naughty.replace("\x00", "\ufffd"), "detected_at": "2026-11-20T12:25:00+0000"}
    assert json.loads(found.data) == expected


def test_what_is_beside_a_character_that_cannot_be_stored_stays_as_it_was_sent() -> None:
    body = (
        '{ "watch_uuid": "w",\n "watch_url": "https://x/", "n": 1.10, "long": 0.12345678901234567890123,'
        ' "path": "C:\\\\ud83d\\\\u0000", "diff": "\\ud83c\\udf89 \\u00e9 %s" }'
    )
    assert read(body % "all well").data == body % "all well"
    lost = r"\\u0000 \u0000 \\\uD83D \uDE00 \ud83d\ud83c\udf89"
    kept = r"\\u0000 \ufffd \\\ufffd \ufffd \ufffd\ud83c\udf89"
    assert read(body % lost).data == body % kept
    with pytest.raises(Unreadable, match="twice"):
        read('{"watch_uuid": "w", "watch_url": "https://x/", "diff": "\\ud83c\\udf89", "n": 1, "n": 2}')


def test_apprise_s_envelope_changes_nothing() -> None:
    assert read(enveloped(rendered())) == read(rendered())


@pytest.mark.parametrize("name", ["watch_uuid", "watch_url"])
@pytest.mark.parametrize("value", [None, "", 7])
def test_what_is_missing_is_named(name: str, value: Any) -> None:
    with pytest.raises(Unreadable, match=name):
        read(json.loads(rendered()) | {name: value})


@pytest.mark.parametrize(
    "body",
    [
        *("", "Hello,\n\nYour configured CSS/xPath filters …", "[]", '{"watch_uuid": "a"'),
        *(enveloped("had a change."), enveloped("[1]"), '{"version": "1.0", "message": 3, "type": "info"}'),
        rendered(watch_uuid="w" * 256),
    ],
)
def test_what_is_not_of_the_template_says_so(body: str) -> None:
    with pytest.raises(Unreadable):
        read(body)


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ("2026-11-20T12:25:00+0000", NOW - timedelta(minutes=5)),
        ("2026-11-20T13:25:00+01:00", NOW - timedelta(minutes=5)),
        ("2026-11-20T12:25:00Z", NOW - timedelta(minutes=5)),
        ("2026-11-20 12:25:00 UTC", NOW - timedelta(minutes=5)),
        (1795177500, NOW - timedelta(minutes=5)),
        (None, NOW),
        ("", NOW),
    ],
)
def test_times_as_they_may_be_told(told: Any, at: datetime) -> None:
    assert change(read(json.loads(rendered()) | {"detected_at": told})).detected_at == at


@pytest.mark.parametrize(
    "told", ["yesterday", "2026-11-20 12:25:00 CET", 1e300, -1, True, [], "2027-11-20T00:00:00Z"]
)
def test_what_is_no_time_says_so(told: Any) -> None:
    with pytest.raises(Unreadable, match="detected_at"):
        read(json.loads(rendered()) | {"detected_at": told})


def test_the_same_change_is_the_same_message_however_it_is_told() -> None:
    one, other = read(rendered()), read(rendered(diff="another way"), NOW + timedelta(days=3))
    assert one.id == other.id
    assert one.id != read(rendered(watch_uuid="another")).id


def test_without_a_time_the_same_text_is_the_same_change_for_an_hour() -> None:
    told = {name: value for name, value in json.loads(rendered()).items() if name != "detected_at"}
    assert read(told).id == read(told, NOW + timedelta(minutes=20)).id
    assert read(told).id != read(told, NOW + timedelta(minutes=40)).id
    assert read(told).id != read(told | {"diff": "other"}).id


def test_what_is_too_large_for_an_event_is_shortened_and_says_so() -> None:
    large = json.loads(rendered()) | {"current_snapshot": "x" * 400_000}
    data = json.loads(read(large).data)
    assert data == json.loads(rendered()) | {"truncated": True, "size": len(json.dumps(large))}
    data = json.loads(read(json.loads(rendered(diff="y" * 400_000))).data)
    assert data["diff"] == "y" * 8_000
    assert limits.size(data) < limits.MAX_DATA_BYTES
    assert len(change(read(rendered(diff="y" * 400_000))).diff_summary or "") == 2_000


def test_however_much_is_told_there_is_an_event() -> None:
    naughty = {f"field{n}": "\x01漢" * 20_000 for n in range(30)}
    data = json.loads(read(naughty | json.loads(rendered())).data)
    assert {name: data[name] for name in ("watch_uuid", "watch_url", "truncated")} == {
        "watch_uuid": VARIABLES["watch_uuid"],
        "watch_url": VARIABLES["watch_url"],
        "truncated": True,
    }
    assert limits.size(data) < limits.MAX_DATA_BYTES


def basic(credentials: bytes) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(credentials).decode()}"}


@pytest.mark.parametrize(
    "headers",
    [
        {"x-hookline-token": "secret"},
        {"authorization": "Bearer secret"},
        {"authorization": "bearer secret"},
        basic(b"anybody:secret"),
        basic(b":secret"),
    ],
)
def test_the_token_may_be_shown_in_three_ways(headers: dict[str, str]) -> None:
    SENDER.verify(Received(headers, b"", NOW), [b"old", b"secret"], SOURCE)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-hookline-token": ""},
        {"x-hookline-token": "secret "},
        {"x-hookline-token": "Secret"},
        {"authorization": "secret"},
        {"authorization": "Bearer"},
        {"authorization": "Basic secret"},
        {"authorization": "Basic %%%"},
        basic(b"secret"),
        basic(b"secret:"),
        {"x-hookline-token": "s\udc80"},
    ],
)
def test_anything_else_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(NotVerified):
        SENDER.verify(Received(headers, b"", NOW), [b"old", b"secret"], SOURCE)


def test_a_bit_changed_anywhere_in_the_token_is_refused() -> None:
    for at in range(len(b"secret") * 8):
        token = bytearray(b"secret")
        token[at // 8] ^= 1 << at % 8
        shown = token.decode("latin-1")
        with pytest.raises(NotVerified):
            SENDER.verify(Received({"x-hookline-token": shown}, b"", NOW), [b"secret"], SOURCE)
