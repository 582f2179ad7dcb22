import io
import json

from rich.console import Console

from local.demo import traffic
from local.demo.examples import Example
from local.demo.score import Progress, percentile, score
from local.demo.screen import line, screen, table
from local.demo.traffic import Sent, batches
from local.demo.webhooks import FLAKY, PLANS, Plan, Webhook
from local.receiver.client import Received

EVERYTHING = Webhook(PLANS[0], "w1")
ISSUES = Webhook(Plan("flaky", "demo: flaky", "issues.*"), "w2")
SENT = {"e1": Sent("issues.opened", 1_000_000), "e2": Sent("push", 2_000_000), "e3": Sent("issues.closed", 0)}


def scored(webhook: Webhook, received: dict[str, Received]):
    return score(webhook, SENT, received, bad_signatures=0)


def test_a_prefix_wants_its_own_types_and_a_star_all():
    assert PLANS[0].wants("push")
    assert FLAKY.wants("issues.opened")
    assert not FLAKY.wants("issue_comment.created")
    assert not FLAKY.wants("issues")


def test_each_webhook_is_expected_to_get_what_its_pattern_matches():
    assert scored(EVERYTHING, {}).expected == 3
    assert scored(ISSUES, {}).expected == 2
    assert set(scored(ISSUES, {}).missing) == {"e1", "e3"}


def test_latency_is_from_the_request_to_the_first_arrival_even_if_that_was_refused():
    one = scored(ISSUES, {"e1": Received(4_000_000, None, 0, 1)})
    assert one.latencies_ms == (3.0,)
    assert (one.delivered, one.refused, one.retried) == (0, 1, 0)
    assert "e1" in one.missing


def test_an_event_accepted_after_it_was_refused_is_retried_and_complete():
    received = {"e1": Received(1, 9, 1, 1), "e3": Received(1, 1, 1, 0)}
    one = scored(ISSUES, received)
    assert one.is_complete
    assert (one.delivered, one.refused, one.retried, one.verified) == (2, 1, 1, 3)


def test_events_of_another_run_do_not_count():
    one = scored(EVERYTHING, {"from before": Received(1, 1, 1, 0)})
    assert (one.delivered, one.latencies_ms) == (0, ())


def test_an_event_that_came_twice_is_delivered_once_and_one_duplicate():
    one = scored(ISSUES, {"e1": Received(1, 1, 3, 0)})
    assert (one.delivered, one.duplicates) == (1, 2)


def test_progress_is_complete_when_all_is_sent_and_all_has_arrived():
    there = {event_id: Received(1, 1, 1, 0) for event_id in SENT}
    full = scored(EVERYTHING, there)
    assert Progress(3, 3, (full,)).is_complete
    assert not Progress(2, 3, (full,)).is_complete
    assert not Progress(3, 3, (full, scored(ISSUES, {}))).is_complete


def test_a_percentile_of_too_few_is_none():
    assert percentile((), 50) is None
    assert percentile((1.0,), 50) is None
    assert percentile(tuple(float(n) for n in range(101)), 95) == 95


def test_batches_keep_the_order_and_the_limits_of_a_request():
    examples = [Example("push", {"n": n, "text": "x" * 20_000}) for n in range(120)]
    made = list(batches(examples))
    assert [example for batch in made for example in batch] == examples
    assert len(made) > 1
    for batch in made:
        body = {"events": [{"type": example.type, "data": example.data} for example in batch]}
        assert len(json.dumps(body)) < 1 << 20
        assert len(batch) <= 500


def test_small_events_are_batched_by_their_number():
    made = list(batches(Example("push", n) for n in range(traffic.BATCH_EVENTS + 1)))
    assert [len(batch) for batch in made] == [traffic.BATCH_EVENTS, 1]


def progress() -> Progress:
    return Progress(
        3, 3, tuple(scored(Webhook(plan, "w"), {"e1": Received(2_000_000, 1, 1, 0)}) for plan in PLANS)
    )


def test_the_table_fits_into_80_columns_with_its_headings_whole():
    output = io.StringIO()
    Console(file=output, width=80).print(table(progress()))
    for heading in ("events", "delivered", "refused", "retried", "verified", "p50 ms", "p95 ms"):
        assert heading in output.getvalue()
    assert "…" not in output.getvalue()


def test_without_a_terminal_progress_is_plain_lines():
    output = io.StringIO()
    with screen(Console(file=output)) as show:
        show(progress())
    assert output.getvalue() == line(progress()) + "\n"
    assert "\x1b" not in output.getvalue()
