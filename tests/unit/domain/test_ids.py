from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from functions.domain.ids import is_uid, parse_uuid, usable_as_key, uuid7, uuid7_floor

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def key_of(at: datetime) -> str:
    return str(UUID(int=UUID(uuid7_floor(at)).int | 0x7 << 76 | 0x2 << 62 | 12345))


def test_a_new_key_is_a_uuidv7_of_now() -> None:
    before = datetime.now(UTC)
    made = UUID(uuid7())
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert uuid7_floor(before) <= str(made) <= uuid7_floor(datetime.now(UTC) + timedelta(milliseconds=1))


def test_keys_sort_by_the_time_they_were_made() -> None:
    assert uuid7_floor(NOW) < key_of(NOW) < uuid7_floor(NOW + timedelta(milliseconds=1))


@pytest.mark.parametrize("away", [timedelta(0), timedelta(hours=-23), timedelta(minutes=4)])
def test_a_uuidv7_of_about_now_can_be_a_key(away: timedelta) -> None:
    assert usable_as_key(key_of(NOW + away), NOW)


@pytest.mark.parametrize(
    "id",
    [
        key_of(NOW - timedelta(days=2)),
        key_of(NOW + timedelta(minutes=6)),
        "ffffffff-ffff-7fff-bfff-ffffffffffff",
        "5f0c7c4e-0f0e-4b8e-9a56-0c7b7c0d9c11",
        "00000000-0000-0000-0000-000000000000",
        "order-1",
        "",
    ],
)
def test_other_ids_cannot(id: str) -> None:
    assert not usable_as_key(id, NOW)


@pytest.mark.parametrize(
    "text", ["", "x", "{01a1f8b1-9224-7dd5-93c0-8632c1ed87f3}", "01a1f8b192247dd593c08632c1ed87f3"]
)
def test_only_the_canonical_form_is_a_uuid(text: str) -> None:
    assert parse_uuid(text) is None


@pytest.mark.parametrize("uid", ["a", "Acme.eu_1-x", "x" * 255, "0" * 32, "01a1f8b1"])
def test_a_uid_is_letters_digits_and_three_signs(uid: str) -> None:
    assert is_uid(uid)


@pytest.mark.parametrize(
    "uid",
    [
        *("", "x" * 256, "a b", "a/b", "\u00fc", "a\n", "a\0"),
        *("01a1f8b1-9224-7dd5-93c0-8632c1ed87f3", "01A1F8B1-9224-7DD5-93C0-8632C1ED87F3"),
    ],
)
def test_nothing_else_is_a_uid_nor_what_could_be_an_id(uid: str) -> None:
    assert not is_uid(uid)
