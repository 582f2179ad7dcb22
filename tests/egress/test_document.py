"""The document that customers look errors up in has each of them."""

from pathlib import Path

from functions.adapters import send_failures
from functions.domain.outcome import Failure

DOCUMENTS = Path(__file__).parents[2] / "docs"


def test_every_code_of_an_attempt_is_explained() -> None:
    named = [value for value in vars(send_failures).values() if isinstance(value, Failure)]
    detailed = [failure for details in send_failures.DETAILS.values() for failure in details.values()]
    codes = {failure.code for failure in [*named, *detailed, *send_failures.FAILURES.values()]}
    assert len(codes) > 8
    for document in ("egress.md", "api.md"):
        rows = [line for line in (DOCUMENTS / document).read_text().splitlines() if line.startswith("| `")]
        assert codes <= {row.split("`")[1] for row in rows}, document
