"""Standing back from a table that is in use, and trying again."""

import pytest
from sqlalchemy.exc import DBAPIError

from functions.maintain import patience


def error(code: str) -> DBAPIError:
    return DBAPIError("", {}, Exception({"C": code}))


def test_it_tries_again_after_a_pause_while_the_table_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(patience.time, "sleep", pauses.append)
    raised = [error("55P03"), error("57014"), error("40P01")]

    def change() -> None:
        if raised:
            raise raised.pop()

    assert patience.patiently(change, tries=4)
    assert pauses == [patience.PAUSE_SECONDS] * 3


def test_it_gives_up_after_the_last_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience.time, "sleep", lambda _: None)
    tries: list[int] = []

    def change() -> None:
        tries.append(1)
        raise error("55P03")

    assert not patience.patiently(change, tries=3)
    assert len(tries) == 3


def test_what_is_wrong_with_the_change_itself_is_raised_at_once() -> None:
    def change() -> None:
        raise error("23514")

    with pytest.raises(DBAPIError):
        patience.patiently(change, tries=3)
