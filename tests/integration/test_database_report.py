"""`GET /v1/admin/database`: the newest report, how old it is, and what of it is a problem."""

from datetime import UTC, datetime, timedelta

import pytest

from functions.domain.partitions import all_series
from functions.maintain import gauges as job
from functions.maintain.run import Run
from tests.integration.conftest import Service
from tests.integration.figures_scene import gauges

pytestmark = pytest.mark.new_database

PATH = "/v1/admin/database"


def test_before_the_first_report_the_body_says_so(service: Service) -> None:
    answer = service.admin("GET", PATH)
    assert (answer.status, answer.body["status"]) == (200, "degraded")
    assert (answer.body["made_at"], answer.body["age_seconds"], answer.body["report"]) == (None, None, None)
    [problem] = answer.body["problems"]
    assert problem["code"] == "no_report"


def test_the_newest_report_is_told_with_its_age_and_its_problems(service: Service) -> None:
    job.run(Run(now=datetime.now(UTC) - timedelta(minutes=10)))
    job.run(Run(now=datetime.now(UTC) - timedelta(minutes=4)))
    body = service.admin("GET", PATH).body
    assert 240 <= body["age_seconds"] < 300
    missing = [one for one in body["problems"] if one["code"] == "partitions_missing"]
    assert len(missing) == len(all_series())
    assert missing[0]["severity"] == "critical"
    assert (missing[0]["threshold"], missing[0]["value"]) == (2, 0)
    assert body["status"] == "unhealthy"
    assert "webhook_events" in {one["name"] for one in body["report"]["tables"]}
    assert body["history"] == []


def test_a_report_that_is_old_is_a_problem_of_its_own(service: Service) -> None:
    job.run(Run(now=datetime.now(UTC) - timedelta(minutes=40)))
    first = service.admin("GET", PATH).body["problems"][0]
    assert (first["code"], first["threshold"]) == ("report_old", 900)
    assert first["message"] == "the newest report is 40 minutes old: gauges fails or does not run"


def test_history_is_every_report_of_two_days_and_one_an_hour_of_more(service: Service) -> None:
    now = datetime.now(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    for at in (hour - timedelta(hours=60), hour - timedelta(hours=1), hour - timedelta(minutes=55)):
        job.run(Run(now=at))
    lately = service.admin("GET", f"{PATH}?history=4").body["history"]
    assert [one["made_at"][:16] for one in lately] == [
        f"{hour - timedelta(hours=1):%Y-%m-%dT%H:%M}",
        f"{hour - timedelta(minutes=55):%Y-%m-%dT%H:%M}",
    ]
    assert lately[0]["measures"]["UnfinishedDeliveries"] == 0
    long = service.admin("GET", f"{PATH}?history=100").body["history"]
    assert [one["made_at"][:16] for one in long] == [
        f"{hour - timedelta(hours=60):%Y-%m-%dT%H:%M}",
        f"{hour - timedelta(hours=1):%Y-%m-%dT%H:%M}",
    ]


@pytest.mark.parametrize("hours", ["-1", "841", "x", "1.5"])
def test_history_is_hours_as_long_as_reports_are_kept(service: Service, hours: str) -> None:
    answer = service.admin("GET", f"{PATH}?history={hours}")
    assert (answer.status, answer.body["error"]["details"][0]["path"]) == (422, "history")


def test_the_application_s_role_may_read_reports_and_not_write_them(service: Service) -> None:
    gauges()
    service.sql.run("SET ROLE hookline_app")
    assert service.sql.run("SELECT count(*) FROM webhook.reports") == [[1]]
    for statement in ("DELETE FROM webhook.reports", "UPDATE webhook.reports SET hourly = false"):
        with pytest.raises(Exception, match="42501"):
            service.sql.run(statement)
