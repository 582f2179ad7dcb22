from pathlib import Path

from tests.integration.sqs.moto_gaps import MOTO_CANNOT


def test_every_listed_gap_is_a_conformance_test() -> None:
    sources = "".join(path.read_text() for path in Path(__file__).parent.glob("test_conformance_*.py"))
    unknown = [test_id for test_id in MOTO_CANNOT if f"def {test_id.partition('[')[0]}(" not in sources]
    assert unknown == []
