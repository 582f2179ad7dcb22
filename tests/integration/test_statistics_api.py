"""Reading delivery statistics: ranges, buckets, rates, percentiles, and who sees whose."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.domain.log_buckets import ERROR
from functions.domain.statistics.times import DAY, FIVE_MINUTES, HOUR
from tests.integration.conftest import Answer, Client, Service
from tests.integration.statistics_scene import Attempt, Scene, run_statistics

FAILED = {"status": 503, "code": "http_status"}


@pytest.fixture
def scene(service: Service) -> Scene:
    return Scene(service)


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


def get(client: Client, path: str) -> dict[str, Any]:
    answer = client("GET", path)
    assert answer.status == 200, answer.body
    return dict(answer.body)


def written(at: datetime) -> str:
    return f"{at:%FT%TZ}"


def test_nothing_yet_is_told_as_zeros_and_rates_of_nothing(service: Service) -> None:
    found = get(service.client, "/v1/stats/deliveries")
    assert found["until"] is None
    assert (found["bucket"], len(found["data"])) == ("1h", 25)
    assert found["totals"]["attempts"] == 0
    assert {found["totals"][name] for name in ("success_rate", "availability")} == {None}
    assert found["totals"]["response_time_ms"] == {
        **{"count": 0, "average": None, "longest": None},
        **{"p50": None, "p95": None, "p99": None},
    }
    assert get(service.client, "/v1/stats/endpoints")["data"] == []


def test_every_figure_of_a_webhook_is_what_its_attempts_say(scene: Scene, now: datetime) -> None:
    webhook, at = scene.webhook(), now - timedelta(minutes=30)
    scene.add(
        *(Attempt(webhook, at, ms=10 + n) for n in range(6)),
        Attempt(webhook, at, 503, "http_status", ms=900, is_dead=True, number=6),
        Attempt(webhook, at, 404, "http_status", ms=20),
        Attempt(webhook, at, None, "timeout", ms=15_000),
        Attempt(webhook, at, None, "address_refused", ms=1),
    )
    run_statistics(now)
    found = get(scene.service.client, f"/v1/webhooks/{webhook}/stats?window=1h")
    totals = found["totals"]
    assert (found["bucket"], found["percentile_error"], totals["attempts"]) == ("5m", ERROR, 10)
    assert {name: count for name, count in totals["outcomes"].items() if count} == {
        **{"succeeded": 6, "server_error": 1},
        **{"rejected": 1, "timed_out": 1, "refused": 1},
    }
    assert totals["success_rate"] == 0.6
    assert totals["availability"] == 0.777777  # 7 of the 9 that were sent
    assert (totals["retries"], totals["first_attempt_success_rate"]) == (1, 0.666666)
    assert totals["deliveries"] == {"delivered": 6, "failed": 1, "success_rate": 0.857142}
    times = totals["response_time_ms"]
    assert (times["count"], times["longest"], times["p50"], times["p99"]) == (8, 900, 13, 900)
    assert times["average"] == round((sum(range(10, 16)) + 920) / 8, 1)
    assert found["until"].startswith(written(now - timedelta(minutes=2))[:-1])


def test_buckets_follow_each_other_without_a_gap_and_add_up_to_the_totals(scene: Scene, now: datetime) -> None:
    webhook, chance = scene.webhook(), random.Random(3)
    scene.add(
        *(Attempt(webhook, now - timedelta(minutes=3 + chance.expovariate(1 / 300)), ms=n) for n in range(200))
    )
    run_statistics(now)
    for window, bucket, most in (("1h", "5m", 13), ("24h", "1h", 25), ("7d", "1h", 169), ("30d", "1d", 31)):
        found = get(scene.service.client, f"/v1/stats/deliveries?window={window}")
        length = {"5m": FIVE_MINUTES, "1h": HOUR, "1d": DAY}[bucket].length
        starts = [datetime.fromisoformat(one["start"]) for one in found["data"]]
        assert (found["bucket"], len(starts) in (most, most - 1)) == (bucket, True)
        assert starts == [starts[0] + n * length for n in range(len(starts))]
        assert datetime.fromisoformat(found["from"]) == starts[0]
        assert datetime.fromisoformat(found["to"]) == starts[-1] + length
        inside = [one for one in scene.attempts if one.at >= starts[0]]
        assert sum(one["attempts"] for one in found["data"]) == found["totals"]["attempts"] == len(inside)
        alone = get(scene.service.client, f"/v1/stats/deliveries?window={window}&bucket=none")
        assert (alone["totals"], alone["data"], alone["bucket"]) == (found["totals"], [], None)


def test_a_range_is_covered_by_whole_buckets(scene: Scene, now: datetime) -> None:
    webhook, day = scene.webhook(), DAY.floor(now) - timedelta(days=3)
    edges = [
        day - timedelta(milliseconds=1),
        day,
        day + timedelta(days=1, milliseconds=-1),
        day + timedelta(days=1),
    ]
    scene.add(*(Attempt(webhook, at) for at in edges))
    run_statistics(now)
    inside = f"from={written(day + timedelta(hours=5))}&to={written(day + timedelta(hours=7))}"
    found = get(scene.service.client, f"/v1/stats/deliveries?{inside}&bucket=1d")
    assert [one["attempts"] for one in found["data"]] == [2]
    whole = f"from={written(day)}&to={written(day + timedelta(days=1))}"
    hours = get(scene.service.client, f"/v1/stats/deliveries?{whole}")
    assert (hours["bucket"], len(hours["data"]), hours["totals"]["attempts"]) == ("1h", 24, 2)
    assert [hours["data"][n]["attempts"] for n in (0, -1)] == [1, 1]
    ever = get(scene.service.client, f"/v1/stats/deliveries?from={written(now - timedelta(days=399))}")
    assert (ever["bucket"], ever["totals"]["attempts"]) == ("1d", 4)


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("window=2h", "window"),
        ("bucket=1m", "bucket"),
        ("from=2020-01-01T00:00:00Z", "from"),
        ("from=9999-01-01T00:00:00Z", "from"),
        ("to=2026-01-01T00:00:00Z", "to"),
        ("window=24h&from={hour_ago}", "window"),
        ("from={hour_ago}&to={day_ago}", "to"),
        ("from={week_ago}&bucket=5m", "bucket"),
        ("window=90d&bucket=1h", "bucket"),
        ("window=30d&bucket=1h", "bucket"),  # kept, and too many
        ("from=yesterday", "from"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused_where_it_is_wrong(
    service: Service, now: datetime, query: str, path: str
) -> None:
    ago = {"hour_ago": 1, "day_ago": 24, "week_ago": 168}
    asked = query.format(**{name: written(now - timedelta(hours=hours)) for name, hours in ago.items()})
    webhook = service.webhook()["id"]
    for where in ("/v1/stats/deliveries", f"/v1/webhooks/{webhook}/stats"):
        refused = service.client("GET", f"{where}?{asked}")
        assert (refused.status, refused.body["error"]["details"][0]["path"]) == (422, path)


def test_percentiles_are_off_by_less_than_is_stated(scene: Scene, now: datetime) -> None:
    webhook, chance = scene.webhook(), random.Random(5)
    times = sorted(int(chance.lognormvariate(5, 1.2)) for _ in range(500))
    scene.add(*(Attempt(webhook, now - timedelta(minutes=5 + n % 50), ms=ms) for n, ms in enumerate(times)))
    run_statistics(now)
    found = get(scene.service.client, f"/v1/webhooks/{webhook}/stats?window=24h")["totals"]["response_time_ms"]
    for name, rank in (("p50", 250), ("p95", 475), ("p99", 495)):
        assert found[name] == pytest.approx(times[rank - 1], rel=ERROR)


def test_a_key_that_is_bound_sees_its_application_s_figures_only(scene: Scene, now: datetime) -> None:
    service = scene.service
    acme, other = (service.application(uid=uid)["id"] for uid in ("acme", "other"))
    mine, theirs, whole = (scene.webhook(application_id=of) for of in (acme, other, None))
    for count, webhook in enumerate((mine, theirs, whole), 1):
        scene.add(*(Attempt(webhook, now - timedelta(minutes=5)) for _ in range(count)))
    run_statistics(now)
    bound = service.key("deliveries:read", application_id=acme)
    assert attempts(service.client) == 6
    assert attempts(service.client, "?application_id=acme") == attempts(bound) == 1
    assert attempts(bound, "?application_id=acme") == 1
    assert bound("GET", "/v1/stats/deliveries?application_id=other").status == 404
    assert bound("GET", f"/v1/webhooks/{theirs}/stats").status == 404
    assert bound("GET", f"/v1/webhooks/{whole}/stats").status == 404
    assert get(bound, f"/v1/webhooks/{mine}/stats")["totals"]["attempts"] == 1
    assert [one["id"] for one in get(bound, "/v1/stats/endpoints")["data"]] == [mine]
    unscoped = service.key("metrics:read")
    for path in ("/v1/stats/deliveries", "/v1/stats/endpoints", f"/v1/webhooks/{mine}/stats"):
        assert unscoped("GET", path).status == 403


def attempts(client: Client, query: str = "") -> int:
    return int(get(client, f"/v1/stats/deliveries{query}")["totals"]["attempts"])


def _ranked(scene: Scene, now: datetime) -> dict[str, tuple[int, int]]:
    """Webhooks with attempts and how many of them succeeded; the same for several, so that there are ties."""
    figures = [(4, 4), (4, 2), (10, 5), (1, 0), (2, 0), (9, 8), (4, 2)]
    made = {scene.webhook(): of for of in figures}
    for webhook, (count, succeeded) in made.items():
        at = now - timedelta(minutes=4)
        scene.add(*(Attempt(webhook, at, **({} if n < succeeded else FAILED)) for n in range(count)))
    run_statistics(now)
    return made


def _pages(client: Client, query: str) -> list[dict[str, Any]]:
    found, cursor = [], ""
    while True:
        page = get(client, f"/v1/stats/endpoints?{query}{cursor}")
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


@pytest.mark.parametrize("window", ["1h", "24h", "7d", "30d", "90d"])
def test_endpoints_are_sorted_by_their_rate_or_by_their_attempts_page_by_page(
    scene: Scene, now: datetime, window: str
) -> None:
    made = _ranked(scene, now)
    by_rate = sorted(made, key=lambda id: (made[id][1] / made[id][0], id))
    by_attempts = sorted(made, key=lambda id: (-made[id][0], id))
    for sort, expected in (("success_rate", by_rate), ("attempts", by_attempts)):
        for limit in (2, 3, 40):
            rows = _pages(scene.service.client, f"window={window}&sort={sort}&limit={limit}")
            assert [one["id"] for one in rows] == expected
    for one in rows:
        attempts_, succeeded = made[one["id"]]
        assert (one["attempts"], one["outcomes"]["succeeded"]) == (attempts_, succeeded)
        assert one["response_time_ms"]["count"] == attempts_
    few = _pages(scene.service.client, f"window={window}&min_attempts=9")
    assert [one["attempts"] for one in few] == [10, 9]


def test_the_order_is_renewed_and_what_left_the_window_or_was_deleted_is_gone(scene: Scene, now: datetime) -> None:
    first, second = scene.webhook(), scene.webhook()
    scene.add(Attempt(first, now - timedelta(minutes=5), **FAILED), Attempt(second, now - timedelta(minutes=5)))
    run_statistics(now)
    scene.add(Attempt(first, now - timedelta(minutes=1)))
    run_statistics(now + timedelta(minutes=2))
    ranked = get(scene.service.client, "/v1/stats/endpoints")
    assert ranked["ranked_until"] < ranked["until"]
    assert [one["success_rate"] for one in ranked["data"]] == [0.5, 1.0]  # the figures are newer than the order
    assert run_statistics(now + timedelta(minutes=6))["endpoints"] == 4  # two webhooks in two windows
    assert scene.service.client("DELETE", f"/v1/webhooks/{second}").status == 204
    assert [one["id"] for one in get(scene.service.client, "/v1/stats/endpoints")["data"]] == [first]
    run_statistics(now + timedelta(hours=3))
    assert scene.service.sql.run("SELECT count(*) FROM webhook.endpoint_rankings WHERE window_hours = 1") == [[0]]
    assert scene.service.sql.run("SELECT count(*) FROM webhook.endpoint_rankings WHERE window_hours = 24") == [[2]]


def test_a_cursor_whose_webhook_is_gone_or_somebody_else_s_is_refused(scene: Scene, now: datetime) -> None:
    made = _ranked(scene, now)
    acme = scene.service.application(uid="acme")["id"]
    bound = scene.service.key(application_id=acme)
    cursor = get(scene.service.client, "/v1/stats/endpoints?limit=1&sort=attempts")["next_cursor"]

    def refused(client: Client, cursor: str) -> Answer:
        answer = client("GET", f"/v1/stats/endpoints?sort=attempts&cursor={cursor}")
        assert (answer.status, answer.body["error"]["details"][0]["path"]) == (422, "cursor")
        return answer

    refused(bound, cursor)
    refused(scene.service.client, "none")
    busiest = max(made, key=lambda id: made[id][0])
    assert scene.service.client("DELETE", f"/v1/webhooks/{busiest}").status == 204
    refused(scene.service.client, cursor)
