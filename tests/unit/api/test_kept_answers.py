"""What is kept of dear answers, and for how long."""

from collections.abc import Callable

from functions.api.kept_answers import KeptAnswers


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def counting(text: str = "x") -> tuple[list[str], Callable[[], str]]:
    made: list[str] = []

    def make() -> str:
        made.append(text)
        return text + str(len(made))

    return made, make


def test_an_answer_is_kept_for_so_long_and_no_longer() -> None:
    clock = Clock()
    kept, (made, make) = KeptAnswers(clock=clock), counting()
    assert [kept.get("a", 10, make), kept.get("a", 10, make)] == ["x1", "x1"]
    clock.now = 9.9
    assert kept.get("a", 10, make) == "x1"
    clock.now = 10
    assert kept.get("a", 10, make) == "x2"
    assert len(made) == 2


def test_another_question_has_an_answer_of_its_own() -> None:
    kept, (_, make) = KeptAnswers(), counting()
    assert [kept.get("a", 10, make), kept.get("b", 10, make)] == ["x1", "x2"]


def test_what_was_not_asked_for_longest_makes_room() -> None:
    kept, (_, make) = KeptAnswers(memory_bytes=5), counting()
    kept.get("a", 10, make)
    kept.get("b", 10, make)
    kept.get("a", 10, make)
    kept.get("c", 10, make)  # six bytes: that of b has to go
    assert [kept.get(asked, 10, make) for asked in ("a", "c")] == ["x1", "x3"]
    assert kept.get("b", 10, make) == "x4"


def test_a_failure_is_not_kept() -> None:
    kept, (_, make) = KeptAnswers(), counting()
    try:
        kept.get("a", 10, lambda: str(1 / 0))
    except ZeroDivisionError:
        assert kept.get("a", 10, make) == "x1"
    else:
        raise AssertionError("what could not be made was answered")
