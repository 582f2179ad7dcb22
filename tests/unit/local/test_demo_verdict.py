import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from local.demo import verdict as verdicts
from local.demo.score import Score, score
from local.demo.stack import Stack, StackError, read
from local.demo.tour import tour
from local.demo.traffic import Sent
from local.demo.verdict import Verdict, verdict
from local.demo.webhooks import FLAKY, PLANS, Webhook
from local.receiver.client import Received

SENT = {"e1": Sent("issues.opened", 0), "e2": Sent("issues.closed", 0)}
ARRIVED = {"e1": Received(1, 2, 1, 1), "e2": Received(1, 1, 1, 0)}


class FakeApi:
    """Lists what it is given, as the API would."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = rows

    async def every(self, _path: str, **_params: str) -> AsyncIterator[dict[str, Any]]:
        for row in self.rows:
            yield row


def row(event_id: str, status: str = "delivered", attempts: int = 1, error: str | None = None) -> dict[str, Any]:
    last_error = error and {"code": "x", "message": error}
    return {
        "id": f"d-{event_id}",
        "event_id": event_id,
        "status": status,
        "attempts": attempts,
        "last_error": last_error,
    }


def judged(api: FakeApi, *, received: dict[str, Received] = ARRIVED, bad_signatures: int = 0) -> Verdict:
    one: Score = score(Webhook(FLAKY, "w"), SENT, received, bad_signatures=bad_signatures)
    return asyncio.run(verdict(api, [one], SENT, datetime.now(UTC)))


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "RECORD_SECONDS", 0)


def test_what_arrived_and_is_recorded_is_complained_about_by_nobody():
    made = judged(FakeApi(row("e1", attempts=2), row("e2")))
    assert made.complaints == []
    assert made.retried is not None
    assert made.retried["id"] == "d-e1"


def test_a_missing_event_is_named_with_the_state_of_its_delivery():
    received = {"e2": ARRIVED["e2"]}
    (missing, _) = judged(FakeApi(row("e1", "pending", 1, "timed out"), row("e2")), received=received).complaints
    assert "1 of 2 events did not arrive" in missing
    assert "d-e1 is pending after 1 attempts, timed out" in missing


def test_an_event_without_a_delivery_is_said():
    received = {"e2": ARRIVED["e2"]}
    assert "event e1 has no delivery" in judged(FakeApi(row("e2")), received=received).complaints[0]


def test_what_arrived_but_is_not_recorded_as_delivered_is_said():
    (complaint,) = judged(FakeApi(row("e1", attempts=2), row("e2", "delivering"))).complaints
    assert "1 deliveries" in complaint
    assert "not on record" in complaint


def test_a_bad_signature_is_said():
    made = judged(FakeApi(row("e1", attempts=2), row("e2")), bad_signatures=3)
    assert made.complaints == [f"3 requests to “{FLAKY.name}” had no valid signature"]


def test_a_run_in_which_nothing_was_tried_again_shows_no_retry_and_says_so():
    assert any("tried again" in complaint for complaint in judged(FakeApi(row("e1"), row("e2"))).complaints)


def test_deliveries_of_other_events_are_not_looked_at():
    made = judged(FakeApi(row("e1", attempts=2), row("e2"), row("stranger", "failed", 6)))
    assert made.complaints == []


def test_the_tour_names_real_ids_and_the_key():
    stack = Stack(api_url="http://127.0.0.1:1", admin_key="a", project_id="p", api_key="hl_key")
    lines = tour(stack, Webhook(PLANS[2], "the-webhook"), row("e1"), receiver_stays=True)
    for part in (
        "http://127.0.0.1:1/docs",
        "KEY=hl_key",
        "webhook_id=the-webhook",
        "/v1/deliveries/d-e1/attempts",
    ):
        assert part in lines
    assert "ended with the demo" not in lines
    assert "ended with the demo" in tour(stack, Webhook(PLANS[2], "w"), None, receiver_stays=False)


def test_a_service_that_does_not_run_is_said(tmp_path):
    with pytest.raises(StackError, match="is the service running"):
        read(tmp_path / "stack.json")


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}"])
def test_a_stack_file_that_is_none_is_said(tmp_path, text):
    (tmp_path / "stack.json").write_text(text)
    with pytest.raises(StackError, match="cannot be read"):
        read(tmp_path / "stack.json")


def test_a_stack_file_is_read_whatever_else_is_in_it(tmp_path):
    (tmp_path / "stack.json").write_text(
        '{"api_url": "u", "admin_key": "a", "project_id": "p", "api_key": "k", "sqs_url": "s",'
        ' "processes": {"api": [1, 2]}, "new": 1}'
    )
    assert read(tmp_path / "stack.json") == Stack("u", "a", "p", "k", processes={"api": [1, 2]})
