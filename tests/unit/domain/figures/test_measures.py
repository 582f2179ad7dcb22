"""The figures that become metrics."""

from functions.domain.figures import measures
from tests.unit.domain.figures.scene import GB, partitions, report, table


def test_they_are_of_the_worst_table_and_the_nearest_end() -> None:
    found = measures.of(
        report(
            tables=[
                table(largest_bytes=GB, largest_rows=5, heap_bloat_bytes=10, dead_rows=1),
                table(largest_bytes=3 * GB, largest_rows=2, index_bloat_bytes=5, dead_rows=2),
            ],
            partitions=[partitions(days_ahead=9.5, default_rows=1), partitions(days_ahead=70.0, default_rows=2)],
        )
    )
    assert found[measures.LARGEST_TABLE_BYTES] == 3 * GB
    assert found[measures.LARGEST_TABLE_ROWS] == 5
    assert found[measures.BLOAT_BYTES] == 15
    assert found[measures.DEAD_ROWS] == 3
    assert found[measures.PARTITION_DAYS_AHEAD] == 9.5
    assert found[measures.DEFAULT_PARTITION_ROWS] == 3
    assert found[measures.CONNECTION_PERCENT] == 10.0


def test_each_has_a_unit() -> None:
    assert set(measures.of(report())) == set(measures.UNITS) - {measures.DISPATCHER_HEARTBEAT}


def test_what_was_not_read_is_no_measure_and_never_a_zero() -> None:
    assert measures.of(dict.fromkeys(report())) == {}
    without = measures.of(report(tables=None, deliveries=None))
    assert measures.LARGEST_TABLE_BYTES not in without
    assert measures.BLOAT_BYTES not in without
    assert measures.OLDEST_OVERDUE_SECONDS not in without
