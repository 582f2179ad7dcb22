"""The job that makes partitions, as the maintenance function runs it."""

import pytest

from functions.maintain import handler as maintain
from tests.integration.conftest import Context, Service


@pytest.fixture(autouse=True)
def _nothing_in_the_default_partition(service: Service) -> None:
    """The fixture's project and key were audited before there were partitions, as no deployment does it."""
    service.sql.run("DELETE FROM webhook.audit_log")


def run(service: Service) -> dict[str, int]:
    return maintain.handler({"job": "partitions"}, Context())


def partitions(service: Service, table: str) -> list[str]:
    found = service.sql.run(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = to_regclass(:parent) ORDER BY 1",
        parent=f"webhook.{table}",
    )
    return [name for (name,) in found]


def test_missing_partitions_are_made_once_and_rows_go_into_them(service: Service) -> None:
    assert run(service)["made"] == 16 + 4 + 4 + 4
    assert run(service) == {"made": 0}
    assert len(partitions(service, "webhook_events")) == 17
    service.webhook()
    service.event()
    for table in ("webhook_events", "webhook_deliveries", "audit_log"):
        ((default,),) = service.sql.run(f"SELECT count(*) FROM webhook.{table}_default")
        assert default == 0


def test_partitions_have_the_parents_indexes_constraints_and_owner(service: Service) -> None:
    run(service)
    name = next(p for p in partitions(service, "webhook_deliveries") if not p.endswith("default"))
    indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = :name"
    assert service.sql.run(indexes, name=name) == service.sql.run(indexes, name="webhook_deliveries")
    checks = (
        "SELECT count(*) FROM pg_constraint WHERE conrelid = to_regclass(:t) AND contype = ANY (ARRAY['c', 'f'])"
    )
    ((parent,),) = service.sql.run(checks, t="webhook.webhook_deliveries")
    ((child,),) = service.sql.run(checks, t=f"webhook.{name}")
    assert parent == child
    ((owner,),) = service.sql.run("SELECT tableowner FROM pg_tables WHERE tablename = :name", name=name)
    assert owner == "hookline_owner"


def test_an_unknown_job_is_an_error_that_names_the_jobs(service: Service) -> None:
    with pytest.raises(ValueError, match="partitions"):
        maintain.handler({"job": "nonsense"}, Context())
