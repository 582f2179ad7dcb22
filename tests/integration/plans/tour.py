"""All that the product asks of its database, asked once: a new statement needs a call here, or a test fails."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.adapters.database import connect_owner, transaction
from functions.deliver import claims, dead_letters, health, unsent
from functions.deliver.claims import Lane
from functions.dispatch import handler as dispatch
from functions.dispatch import sweeps
from functions.dispatch.disabling import disable_failing
from functions.domain import rescraping
from functions.domain.ids import uuid7
from functions.domain.jobs import BATCH
from functions.domain.messages import DeadLetter
from functions.domain.rescraping import Claim
from functions.domain.senders import changedetection, firecrawl
from functions.jobs import progress
from functions.maintain import handler as maintain
from functions.maintain import rollup, statistics
from tests.integration import rescrape_scene, sources_scene
from tests.integration.conftest import Client, Context, Service
from tests.integration.endpoint import Endpoint
from tests.integration.engine_scene import batch
from tests.integration.inbound_scene import TOKEN, make_source, payload, post, signed
from tests.integration.levers_scene import ago, dead_letter_of, failed, held, run, start, waiting, work
from tests.integration.metrics_scene import operation_line, request_line, store
from tests.integration.plans.crowd import Crowd
from tests.integration.plans.test_lists import LISTS, OF_ADMIN, requests_of

# Requests whose filters two indexes serve: which of them is better is asked of the database.
TWO_WAYS = (
    "/v1/deliveries?webhook_id={webhook}&event_type=type0.part0",
    "/v1/events?type=type0.part0&application_id=app1",
    "/v1/dead-letters?webhook_id={webhook}&status=pending",
    "/v1/audit-log?event=webhook.updated&resource_type=webhook",
)
TWO_WAYS_OF_ADMIN = (
    "/v1/metrics/requests?path=/v1/events&status=5xx",
    "/v1/metrics/operations?operation_name=deliver.claim&success=false",
)
FAILING = (
    "UPDATE webhook.webhook_health SET failing_since = now() - interval '6 days', last_failure_at = now(),"
    " last_success_at = NULL WHERE webhook_id = :id"
)
TRIED = "UPDATE webhook.webhook_deliveries SET last_attempt_at = now() WHERE webhook_id = :id"
COUNTED_UNTIL = (
    "UPDATE webhook.statistics_progress SET until = :at,"
    " position = webhook.uuidv7_floor(CAST(:at AS timestamptz)) WHERE name = 'attempts'"
)
OTHERS = """
SELECT CAST(o.id AS text), o.rescrape_token FROM webhook.change_events c
JOIN webhook.change_events o ON o.source_id = c.source_id AND o.rescrape_status = 'queued' AND o.id <> c.id
WHERE c.id = :id
"""
TOKENS = "SELECT id, token FROM webhook.webhook_deliveries WHERE webhook_id = :id"


def ask(client: Client, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """What is answered; it has to be a success."""
    answer = client(method, path, body, headers=headers)
    assert answer.status < 300, (method, path, answer.body)
    return answer.body


def tour(service: Service, receiver: Endpoint, made: Crowd) -> None:
    """`service` is that of the largest project in a full database."""
    here = Tour(service, receiver, made)
    for part in (
        *(here.projects, here.applications, here.event_types, here.webhooks, here.subscriptions, here.events),
        *(here.sources, here.lists, here.metrics, here.single_things, here.holding, here.sending_again),
        *(here.jobs, here.replays, here.erasure, here.deliveries, here.lines, here.batches, here.inbound),
        *(here.rescrapes, here.sweeps, here.maintenance, here.statistics, here.health),
    ):
        part()


class Tour:
    def __init__(self, service: Service, receiver: Endpoint, made: Crowd) -> None:
        self.service, self.client, self.admin = service, service.client, service.admin
        self.receiver, self.made, self.project = receiver, made, f"/v1/projects/{service.project_id}"

    def webhook(self, **values: Any) -> dict[str, Any]:
        return self.service.webhook(url=self.receiver.url, **values)

    def projects(self) -> None:
        for _ in range(2):
            ask(self.admin, "POST", "/v1/projects", {"name": "tour"}, **{"idempotency-key": "tour"})
        ask(self.admin, "GET", self.project)
        ask(self.admin, "PATCH", self.project, {"validation": "warn"})
        key = ask(self.admin, "POST", f"{self.project}/api-keys", {"name": "k", "scopes": ["*"]})
        ask(self.admin, "GET", f"{self.project}/api-keys/{key['id']}")
        ask(self.admin, "DELETE", f"{self.project}/api-keys/{key['id']}")
        assert Client()("GET", "/health").status == 200

    def applications(self) -> None:
        path = f"/v1/applications/{ask(self.client, 'POST', '/v1/applications', {'name': 'Tour'})['id']}"
        ask(self.client, "GET", path)
        ask(self.client, "PATCH", path, {"uid": "tour"})
        self.webhook(application_id="tour")
        ask(self.client, "DELETE", path)

    def event_types(self) -> None:
        ask(self.client, "POST", "/v1/event-types", {"name": "checked", "schema": {"type": "object"}})
        ask(self.client, "GET", "/v1/event-types/checked")
        ask(self.client, "PATCH", "/v1/event-types/checked", {"schema": {"type": "object", "required": ["n"]}})
        self.service.event(type="checked")

    def webhooks(self) -> None:
        path = f"/v1/webhooks/{self.webhook(event_types=['none.such'])['id']}"
        ask(self.client, "GET", path)
        ask(self.client, "PATCH", path, {"timeout_seconds": 3})
        ask(self.client, "PATCH", path, {"rate_limit": {"requests": 5, "per_seconds": 1}})
        ask(self.client, "GET", f"{path}/secret")
        for _ in range(2):
            ask(self.client, "POST", f"{path}/rotate-secret", {})
        ask(self.client, "POST", f"{path}/test", {})
        ask(self.client, "POST", f"{path}/disable", {})
        ask(self.client, "DELETE", path)

    def subscriptions(self) -> None:
        path = f"/v1/webhooks/{self.webhook(event_types=['none.such'])['id']}/subscriptions"
        filter = {"n": {"gt": 100}}
        one = f"{path}/{ask(self.client, 'POST', path, {'event_type': 'filtered', 'filter': filter})['id']}"
        ask(self.client, "GET", one)
        ask(self.client, "PATCH", one, {"filter": {"n": {"gt": 10}}})
        ask(self.client, "POST", "/v1/subscriptions/test", {"type": "type1", "data": {"n": 1}})
        ask(self.client, "POST", "/v1/subscriptions/test", {"filter": filter, "data": {"n": 1}})
        last = ask(self.client, "POST", path, {"event_type": "for.a.moment"})
        ask(self.client, "DELETE", f"{path}/{last['id']}")

    def events(self) -> None:
        for type in ("type1", "filtered"):
            for of in ({}, {"application_id": "app1"}):
                for id in ({}, {"id": f"own-{type}-{len(of)}"}, {"id": f"own-{type}-{len(of)}"}):
                    self.service.event(type=type, **of, **id)

    def sources(self) -> None:
        made = sources_scene.source(self.service)
        path = f"/v1/sources/{made['id']}"
        ask(self.client, "GET", path)
        ask(self.client, "PATCH", path, {"event_types": {"push": "type1"}})
        for _ in range(2):
            ask(self.client, "POST", f"{path}/rotate-secret", {})
        ask(self.client, "GET", f"{path}/secret")
        for _ in range(2):
            assert sources_scene.post(made["id"], b"{}", sources_scene.github(b"{}")).status < 300
        ask(self.client, "DELETE", path)

    def lists(self) -> None:
        for path in LISTS:
            client = self.admin if path.startswith(OF_ADMIN) else self.client
            for request in requests_of(path, self.made, pairs=False):
                ask(client, "GET", request)
        for request in TWO_WAYS:
            ask(self.client, "GET", request.format(**self.made.names))
        for request in TWO_WAYS_OF_ADMIN:
            ask(self.admin, "GET", request)
        for path in ("deliveries", "events", "dead-letters", "audit-log", "sources"):
            ask(Client(self.made.bound_key), "GET", f"/v1/{path}")

    def metrics(self) -> None:
        store([request_line(3), operation_line(3)])
        for path in ("requests/summary?group_by=path", "operations/summary?group_by=operation_name&bucket=1h"):
            for client in (self.client, self.admin):
                ask(client, "GET", f"/v1/metrics/{path}")

    def single_things(self) -> None:
        for path in ("events/{event}", "deliveries/{delivery}", "webhooks/{webhook}"):
            ask(self.client, "GET", f"/v1/{path}".format(**self.made.names))
        letter = dead_letter_of(self.service, self.made.names["dead_delivery"])
        ask(self.client, "GET", f"/v1/dead-letters/{letter}")

    def holding(self) -> None:
        webhook = self.webhook(event_types=["none.such"])
        ask(self.client, "POST", f"/v1/webhooks/{webhook['id']}/pause", {})
        held(self.service, webhook, BATCH + 1)
        ask(self.client, "POST", f"/v1/webhooks/{webhook['id']}/resume", {})
        assert work(self.service) > 0

    def sending_again(self) -> None:
        webhook = self.webhook(event_types=["none.such"])
        one, other, third = failed(self.service, webhook, 3)
        ask(self.client, "POST", f"/v1/deliveries/{one}/retry")
        ask(self.client, "POST", f"/v1/dead-letters/{dead_letter_of(self.service, other)}/redrive")
        ask(self.client, "POST", f"/v1/dead-letters/{dead_letter_of(self.service, third)}/discard")
        (late, given_up) = waiting(self.service, webhook, 2)
        ask(self.client, "POST", f"/v1/deliveries/{late}/retry")
        ask(self.client, "POST", f"/v1/deliveries/{given_up}/skip", {})

    def jobs(self) -> None:
        webhook = self.webhook(event_types=["none.such"])
        of = {"webhook_id": webhook["id"]}
        for path, body, make in (
            ("/v1/deliveries/retry", of, failed),
            ("/v1/deliveries/retry", {**of, "status": "pending"}, waiting),
            (f"/v1/webhooks/{webhook['id']}/recover", {"since": ago(days=1)}, failed),
            ("/v1/dead-letters/redrive", of, failed),
            ("/v1/dead-letters/discard", of, failed),
        ):
            make(self.service, webhook, 20)
            start(self.service, path, body)
            assert work(self.service) > 0
        stopped = start(self.service, "/v1/deliveries/retry", {"event_type": "type0.part0"})
        ask(self.client, "GET", f"/v1/jobs/{stopped['id']}")
        progress.note_failure(stopped["id"], 1)
        ask(self.client, "POST", f"/v1/jobs/{stopped['id']}/cancel", {})

    def replays(self) -> None:
        event = self.service.event(type="type1")
        ask(self.client, "POST", f"/v1/events/{event['id']}/replay", {})
        ask(self.client, "POST", f"/v1/events/{event['id']}/replay", {"webhook_id": self.made.names["webhook"]})
        for patterns in (["type2.*"], ["type1"]):
            webhook = self.webhook(event_types=patterns)
            start(self.service, f"/v1/webhooks/{webhook['id']}/replay-missing", {"since": ago(hours=2)})
            assert work(self.service) > 0

    def erasure(self) -> None:
        event = self.service.event(type="type1")
        ask(self.client, "DELETE", f"/v1/events/{event['id']}/payload")
        before = f"{datetime.now(UTC) - timedelta(days=19):%FT%TZ}"
        ask(self.admin, "POST", f"{self.project}/expunge", {"before": before})
        assert work(self.service) > 0

    def deliveries(self) -> None:
        self.webhook(event_types=["hookline.*"])
        webhook = self.webhook(event_types=["sent"], max_attempts=1)
        self._deliver("sent")
        self.receiver.status = 500
        self._deliver("sent")
        ((id, token),) = self.service.sql.run(
            "SELECT id, token FROM webhook.webhook_dlq WHERE webhook_id = :id", id=webhook["id"]
        )
        for message in ("first", "redriven"):
            dead_letters.judge(DeadLetter(str(id), token), message)
        self.receiver.status = 410
        self._deliver("sent")
        self.receiver.status = 200
        for lever, body in (("pause", {}), ("", None)):
            webhook = self.webhook(event_types=["withdrawn"])
            self.service.event(type="withdrawn")
            method, path = ("POST", f"/{lever}") if lever else ("DELETE", "")
            ask(self.client, method, f"/v1/webhooks/{webhook['id']}{path}", body)
            run(self.service)

    def _deliver(self, type: str, count: int = 1) -> None:
        for _ in range(count):
            self.service.event(type=type)
        run(self.service)

    def lines(self) -> None:
        webhook = self.webhook(event_types=["in.line"], ordering="strict")
        self._deliver("in.line", 3)
        ask(self.client, "GET", f"/v1/webhooks/{webhook['id']}")
        held(self.service, webhook, 3)
        sweeps.due_lines(100)
        (given_up,) = waiting(self.service, webhook)
        ask(self.client, "POST", f"/v1/deliveries/{given_up}/skip", {})
        ask(self.client, "GET", f"/v1/webhooks/{webhook['id']}")
        self.webhook(event_types=["limited"], rate_limit={"requests": 1, "per_seconds": 60})
        self._deliver("limited", 3)

    def batches(self) -> None:
        """A hundred at a time, which the messages above do not come to."""
        webhook = self.webhook(event_types=["many"])
        batch(self.service, 100, type="many")
        tokens = {str(id): token for id, token in self.service.sql.run(TOKENS, id=webhook["id"])}
        taken = claims.claim(tokens, 60_000, Lane.FRESH, {})
        assert len(taken.claims) == 100
        unsent.release(taken.claims, timedelta(seconds=90))
        with transaction() as connection:
            health.mark_slow(connection, {webhook["id"]: "many"})

    def inbound(self) -> None:
        """What was sent, twice, and what is told of it."""
        page, change = (
            payload("crawl.page"),
            {"watch_uuid": "w", "watch_url": "https://x/", "detected_at": ago(hours=1)},
        )
        crawls, changes = (make_source(self.service, kind) for kind in ("firecrawl", "changedetection"))
        for _ in range(2):
            for told in (page, payload("crawl.completed")):
                body = json.dumps(told).encode()
                post(firecrawl.SENDER, crawls, body, signed(body))
            post(changedetection.SENDER, changes, json.dumps(change).encode(), TOKEN)
        for path in ("change-events/{change}", "crawl-sessions/{session}"):
            ask(self.client, "GET", f"/v1/{path}".format(**self.made.names))
        ask(self.client, "GET", "/v1/change-events?source_id={source}&watch_id=rare".format(**self.made.names))
        bound = Client(self.made.bound_key)
        for path in ("change-events", "change-events?watch_id=rare", "crawl-sessions"):
            ask(bound, "GET", f"/v1/{path}")

    def rescrapes(self) -> None:
        """One after the other in the one place of their source; the last is left to dispatch."""
        source, sql = uuid7(), self.service.sql
        of = {"project_id": self.service.project_id, "application_id": None, "credentials": b"c"}
        sql.run(rescrape_scene.SOURCE, id=source, rescrape='{"concurrency": 1}', **of)
        changes = [uuid7() for _ in range(4)]
        for id in changes:
            sql.run(rescrape_scene.CHANGE, id=id, source_id=source, watch_id=id, url="https://x/")
            ask(self.client, "POST", f"/v1/change-events/{id}/rescrape")
        for id, ending in zip(changes, ("completed", "failed", "again", "lost"), strict=True):
            self._rescrape(id, ending)
        ask(self.client, "GET", f"/v1/change-events/{changes[0]}/document")
        ask(self.client, "DELETE", f"/v1/change-events/{changes[0]}/document")
        sql.run(rescrape_scene.LAPSE, id=changes[-1])
        assert sweeps.due_rescrapes(1000)

    def _rescrape(self, id: str, ending: str) -> None:
        ((token,),) = self.service.sql.run(
            "SELECT rescrape_token FROM webhook.change_events WHERE id = :id", id=id
        )
        with transaction() as connection:
            taken = rescraping.claim(connection, id, token, 60_000)
            assert isinstance(taken, Claim)
            for other in self.service.sql.run(OTHERS, id=id):
                rescraping.claim(connection, *other, 60_000)  # there is no room for it
            if ending == "lost":
                return
            assert rescraping.hold(connection, taken)
            match ending:
                case "completed":
                    rescraping.complete(connection, taken, "documents/x", 1, uuid7())
                case "failed":
                    rescraping.fail(connection, taken, "no")
                case "again":
                    rescraping.again(connection, taken, "no", 30)
            rescraping.wake(connection, taken)

    def sweeps(self) -> None:
        webhook = self.webhook(event_types=["none.such"])
        failed(self.service, webhook, 30)
        self.service.sql.run(FAILING, id=webhook["id"])
        self.service.sql.run(TRIED, id=webhook["id"])
        assert disable_failing(100).webhooks == 1
        assert sweeps.due_deliveries(1000)
        sweeps.due_dead_letters(1000)
        sweeps.due_jobs(1000)

    def maintenance(self) -> None:
        ask(self.admin, "PATCH", self.project, {"retention": {"events": 20, "deliveries": 60}})
        now = datetime.now(UTC)
        with connect_owner() as connection, connection.begin():
            rollup.begin(connection, now, statistics.bound(now))
        self.service.sql.run(COUNTED_UNTIL, at=now - timedelta(hours=3))
        maintain.handler({"job": "statistics"}, Context())
        for job in ("partitions", "orphans", "project_retention", "dead_letters", "idempotency_keys"):
            maintain.handler({"job": job}, Context())
        for job in ("expired_secrets", "inbound_retention", "gauges", "gauges"):
            maintain.handler({"job": job}, Context())
        with pytest.raises(ValueError, match="`from`"):
            maintain.handler({"job": "restore"}, Context())

    def statistics(self) -> None:
        webhook = self.made.names["webhook"]
        for path in ("stats/deliveries", "stats/deliveries?window=90d", f"webhooks/{webhook}/stats?window=7d"):
            ask(self.client, "GET", f"/v1/{path}")
        for query in ("window=24h", "window=90d&sort=attempts"):
            page = ask(self.client, "GET", f"/v1/stats/endpoints?{query}&limit=5")
            ask(self.client, "GET", f"/v1/stats/endpoints?{query}&limit=5&cursor={page['next_cursor']}")

    def health(self) -> None:
        dispatch.handler({}, Context())
        ask(self.admin, "GET", "/v1/health")
        ask(self.admin, "GET", "/v1/admin/database?history=100")
        assert self.client("GET", f"/v1/events/{uuid7()}").status == 404
