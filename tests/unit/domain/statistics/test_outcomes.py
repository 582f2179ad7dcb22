import ast
from pathlib import Path

import pytest

from functions.adapters import send_failures
from functions.domain.outcome import Failure
from functions.domain.statistics.outcomes import ANSWERED, AVAILABLE, BY_CODE, OUTCOMES, outcome


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (204, None, "succeeded"),
        (301, "http_status", "redirected"),
        (400, "http_status", "rejected"),
        (410, "http_status", "rejected"),
        (429, "http_status", "throttled"),
        (500, "http_status", "server_error"),
        (599, "http_status", "server_error"),
        (100, "http_status", "invalid_response"),
        (600, "http_status", "invalid_response"),
        (None, "http_status", "invalid_response"),
        (200, "timeout", "timed_out"),
        (None, "address_not_in_allowlist", "refused"),
        (None, "of a later version", "other"),
    ],
)
def test_an_attempt_is_one_of_them(status: int | None, code: str | None, expected: str) -> None:
    assert outcome(code, status) == expected


def test_every_error_that_sending_knows_is_told_apart() -> None:
    """But for `request_failed`, which is what nobody knows more of."""
    source = ast.parse(Path(send_failures.__file__).read_text())
    calls = [node for node in ast.walk(source) if isinstance(node, ast.Call)]
    codes = {
        node.args[0].value
        for node in calls
        if isinstance(node.func, ast.Name)
        and node.func.id == Failure.__name__
        and isinstance(node.args[0], ast.Constant)
    }
    assert codes - BY_CODE.keys() == {"request_failed"}
    assert set(BY_CODE.values()) | set(ANSWERED) | {"other"} == set(OUTCOMES)
    assert set(AVAILABLE) < set(ANSWERED)
