"""One invocation: claims what its messages name, sends, records, and sends the messages that follow."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from functions.adapters import measuring, outbox, queues
from functions.adapters.database import again, transaction
from functions.adapters.outbox import Follow
from functions.adapters.queues import Receiving
from functions.adapters.sender import Errand, Response, send
from functions.deliver import dead_letters, health, intake
from functions.deliver.claims import Lane, claim
from functions.deliver.dead_letters import Fate
from functions.deliver.intake import Batch, Intake, Received
from functions.deliver.outbound import Outbound
from functions.deliver.records import Recorded, Result, record, results_of
from functions.deliver.unsent import line_up, release, set_aside
from functions.domain import messages, operational
from functions.domain.egress import check_policy, may_connect
from functions.domain.operational import Notice
from functions.domain.ordering import Woken
from functions.domain.outbox import OUTBOX_SECONDS
from functions.domain.outcome import State
from functions.settings import settings
from functions.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

LEASE_MARGIN_MS = 5_000  # past the end of the invocation, after which nothing of it can record any more
RECORD_AT_ONCE = 200  # outcomes a statement
RECORD_AFTER_SECONDS = 0.5  # so that what is done does not wait for what hangs
UNREADABLE_FOR = timedelta(minutes=1)
SENT_FOR = timedelta(seconds=OUTBOX_SECONDS)


class Invocation:
    """What is under way between being woken and being done."""

    def __init__(self, lane: Lane, context: "LambdaContext") -> None:
        check_policy()
        self._lane = lane
        self._context = context
        self._intake = Intake(lane, context)
        self._outbound = Outbound(context, self._intake)
        self._done: list[tuple[Response, int]] = []  # with the ms that it took to answer
        self._is_urgent = False  # a line goes on only when what came of its head is recorded
        self._since = time.monotonic()

    def run(self, batch: Batch) -> list[Received]:
        """Deliver what the messages name. Those that are to fail: dying dead letters, and what is not ours."""
        self._claim(batch)
        self._send()
        self._record()
        self._give_back()
        return [*(one for one, letter in batch.letters if self._is_dying(one, letter)), *batch.foreign]

    def _send(self) -> None:
        """Send, and take up meanwhile what is done: of the time that is measured, only the sending counts."""
        with measuring.measured("send", "deliver.send") as sending:
            answers = 0
            for finished in send(self._outbound.requests(), may_connect=may_connect):
                sending.pause()
                answers += self._heard(finished)
                sending.go_on()
            sending.count(answers=answers)

    def _heard(self, finished: Sequence[Response | Errand]) -> int:
        """Take what has come; how many answers of endpoints are among it."""
        heard = time.monotonic()
        for one in finished:
            if isinstance(one, Response):
                self._done.append((one, self._outbound.done(one)))
                self._is_urgent |= one.request.reference.webhook.strict
            elif isinstance(one, Receiving):
                self._take_in(one)
        if self._is_time_to_record():
            self._record()
        self._suspect()
        self._outbound.was_deaf(time.monotonic() - heard)
        return sum(isinstance(one, Response) for one in finished)

    def _claim(self, batch: Batch) -> None:
        if not batch.tokens:
            return
        lease_ms = self._context.get_remaining_time_in_millis() + LEASE_MARGIN_MS
        with measuring.measured("claim", "deliver.claim") as claiming:
            taken = again(lambda: claim(batch.tokens, lease_ms, self._lane, self._outbound.busy()))
            claiming.count(named=len(batch.tokens), claimed=len(taken.claims))
        aside = set_aside(taken.claims)
        self._outbound.add(aside.sendable)
        _send_woken(aside.woken)
        if taken.elsewhere or taken.held:
            logger.info("not sent from here", elsewhere=len(taken.elsewhere), held=len(taken.held))
        outbox.send(settings().retry_queue_url, [*taken.elsewhere, *taken.held])

    def _take_in(self, receiving: Receiving) -> None:
        """More messages, while what is under way takes its time. What is claimed needs its message no longer."""
        received = self._intake.close(receiving)
        if not received:
            return
        logger.info("taken in", messages=len(received))
        batch = intake.sort(received)
        try:
            self._claim(batch)
        except DBAPIError:
            # What is under way is not to suffer: it is recorded, or fails, in its own time. These come again.
            logger.exception("not claimed", messages=len(received))
            return
        failed = [*(one for one, letter in batch.letters if self._is_dying(one, letter)), *batch.foreign]
        bounce(self._lane, failed)
        kept = {one.id for one in failed}
        done = [one.receipt_handle for one in received if one.id not in kept]
        if done:
            queues.delete(receiving.queue_url, done)

    def _is_time_to_record(self) -> bool:
        if self._is_urgent or len(self._done) >= RECORD_AT_ONCE:
            return True
        return bool(self._done) and time.monotonic() - self._since > RECORD_AFTER_SECONDS

    def _record(self) -> None:
        self._since = time.monotonic()
        if not self._done:
            return
        results, self._done, self._is_urgent = results_of(self._done), [], False
        ended = {one.claim.webhook.id for one in results if self._outbound.is_last(one.claim)}
        with measuring.measured("record", "deliver.record") as recording:
            recorded = record(results, ended)
            recording.count(attempts=len(results), retries=len(recorded.retries), dead=len(recorded.dead))
        logger.info(
            "recorded",
            attempts=len(results),
            retries=len(recorded.retries),
            dead=len(recorded.dead),
            stale=len(recorded.stale),
        )
        self._move_lines(results, recorded.stale)
        _send_followers(recorded)

    def _move_lines(self, results: list[Result], stale: set[str]) -> None:
        stopped = []
        for one in results:
            if not one.claim.webhook.strict:
                continue
            if one.outcome.state is State.RETRY or one.claim.id in stale:
                stopped += self._outbound.stop(one.claim)
            else:
                self._outbound.go_on(one.claim)
        line_up(stopped)

    def _suspect(self) -> None:
        """Webhooks that do not answer are slow before their timeout says so: what is new takes the other lane."""
        suspects = self._outbound.suspects()
        if not suspects:
            return

        def mark() -> list[Notice]:
            with transaction() as connection:
                return operational.notify(connection, health.mark_slow(connection, suspects))

        _send_notices(again(mark))
        if self._lane is Lane.FRESH:
            withdrawn = self._outbound.withdraw(suspects)
            outbox.send(settings().retry_queue_url, release(withdrawn, SENT_FOR))

    def _give_back(self) -> None:
        late, unreadable = self._outbound.late, self._outbound.unreadable
        if late:
            logger.warning("no time left for these, released", count=len(late))
            outbox.send(intake.queue_url(self._lane), release(late, SENT_FOR))
        release(unreadable, UNREADABLE_FOR)

    def _is_dying(self, received: Received, letter: messages.DeadLetter) -> bool:
        judged = dead_letters.judge(letter, received.id)
        logger.info("dead letter message", dead_letter_id=letter.id, fate=judged.fate)
        if judged.delivery_id is not None:
            reopened = Follow(judged.delivery_id, judged.token, judged.project_id)
            outbox.send(settings().retry_queue_url, [reopened])
        return judged.fate is Fate.DYING


def bounce(lane: Lane, failed: list[Received]) -> None:
    """Make messages visible at once, so that they reach the DLQ in seconds, not in half an hour."""
    if failed:
        queues.make_visible(intake.queue_url(lane), [one.receipt_handle for one in failed])


def _send_followers(recorded: Recorded) -> None:
    outbox.send(settings().retry_queue_url, recorded.retries)
    outbox.send_dead(settings().retry_queue_url, recorded.dead)
    _send_woken(recorded.woken)
    _send_notices(recorded.notices)


def _send_woken(woken: list[Woken]) -> None:
    """The heads of lines, to the lane that dispatch would choose."""
    for url, fresh in ((settings().delivery_queue_url, True), (settings().retry_queue_url, False)):
        outbox.send(url, (Follow(id, token, of) for id, token, of, attempts in woken if (not attempts) is fresh))


def _send_notices(notices: list[Notice]) -> None:
    outbox.send(settings().delivery_queue_url, (Follow(*notice) for notice in notices))
