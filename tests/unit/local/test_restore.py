"""The command that brings archived days back: it goes on until the job is done, and says what came of it."""

from typing import Any

import pytest

from local import restore

DONE: dict[str, Any] = {
    **{"done": 1, "archives": 3, "restored": 3, "parts": 9, "loaded": 9, "rows": 50, "not_compared": 0},
    **{"busy": 0, "beside": [], "damaged": []},
}


def test_it_invokes_until_the_job_is_done_and_pauses_only_for_others(capsys: pytest.CaptureFixture[str]) -> None:
    half = DONE | {"done": 0, "loaded": 4, "rows": 100}
    answers = [{"skipped": 1}, half, half | {"busy": 1}, DONE]
    asked: list[Any] = []
    pauses: list[float] = []

    def invoke(event: dict[str, Any]) -> dict[str, Any]:
        asked.append(event)
        return answers[len(asked) - 1]

    answer = restore.until_done(invoke, {"job": "restore"}, pauses.append)
    assert asked == [{"job": "restore"}] * 4
    assert len(pauses) == 2
    assert answer["rows"] == 250
    assert capsys.readouterr().out.splitlines() == [
        "another restore is under way, waiting for it",
        "4 of 9 files loaded, 100 rows so far",
        "4 of 9 files loaded, 200 rows so far",
    ]


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (DONE, 0, "3 of 3 partitions are back, 50 rows were loaded"),
        (DONE | {"archives": 0, "restored": 0}, 0, "no archives of these days"),
        (DONE | {"beside": [{"table": "webhook.x", "reason": "no parent"}]}, 1, "webhook.x: no parent"),
        (DONE | {"damaged": ["part-00000 is not there"]}, 1, "damaged: part-00000 is not there"),
        (DONE | {"not_compared": 2}, 0, "2 files have columns that are gone"),
    ],
    ids=["whole", "nothing there", "beside", "damaged", "not compared"],
)
def test_the_report_tells_what_came_of_it(
    answer: dict[str, Any], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert restore.report(answer) == status
    printed = capsys.readouterr()
    assert said in printed.out + printed.err
