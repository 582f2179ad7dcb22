"""Running a function by hand."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from local import invoke


class Lambda:
    """What was invoked, and an answer."""

    def __init__(self, answer: str = '{"made": 1}', **more: str) -> None:
        self.invoked: list[tuple[str, Any]] = []
        self._answer, self._more = answer, more

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self.invoked.append((FunctionName, json.loads(Payload)))
        return {"Payload": io.BytesIO(self._answer.encode()), **self._more}


@pytest.fixture
def stack_file(tmp_path: Path) -> Path:
    path = tmp_path / "stack.json"
    stack = {"functions": ["hookline-dev-maintain"], "lambda_url": "http://127.0.0.1:9", "log_file": "the.log"}
    path.write_text(json.dumps(stack))
    return path


def run(monkeypatch: pytest.MonkeyPatch, client: Lambda, *arguments: str) -> int:
    monkeypatch.setattr(invoke, "_client", lambda _stack: client)
    monkeypatch.setattr("sys.argv", ["invoke", *arguments])
    return invoke.main()


@pytest.mark.parametrize(
    ("arguments", "event"),
    [
        ([], {}),
        (['{"job": "orphans"}'], {"job": "orphans"}),
        (['{"job": "orphans"}', "--parameters", "{}"], {"job": "orphans"}),
        (
            ['{"job": "orphans"}', "--parameters", '{"since": "2026-10-01"}'],
            {"job": "orphans", "since": "2026-10-01"},
        ),
    ],
)
def test_the_function_gets_the_event_with_its_parameters(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stack_file: Path,
    arguments: list[str],
    event: dict[str, str],
) -> None:
    client = Lambda()
    assert run(monkeypatch, client, "maintain", *arguments, "--stack-file", str(stack_file)) == 0
    assert client.invoked == [("hookline-dev-maintain", event)]
    assert capsys.readouterr().out == '{"made": 1}\n'


def test_a_function_that_failed_is_an_exit_status_and_its_error_without_the_stack(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stack_file: Path
) -> None:
    error = {"errorMessage": "no job 'x'", "errorType": "ValueError", "stackTrace": ["File …"]}
    client = Lambda(json.dumps(error), FunctionError="Unhandled")
    assert run(monkeypatch, client, "maintain", "--stack-file", str(stack_file)) == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "ValueError: no job 'x'\nwhere it happened is in the.log\n")


@pytest.mark.parametrize("parameters", ["{", "[]", "5"])
def test_parameters_that_are_no_object_are_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, stack_file: Path, parameters: str
) -> None:
    client = Lambda()
    with pytest.raises(SystemExit):
        run(monkeypatch, client, "maintain", "--parameters", parameters, "--stack-file", str(stack_file))
    assert client.invoked == []


def test_it_waits_for_as_long_as_a_function_may_take_and_never_invokes_twice() -> None:
    config = invoke._client({"lambda_url": "http://127.0.0.1:9"}).meta.config
    assert config.read_timeout > 900
    assert config.retries["total_max_attempts"] == 1
