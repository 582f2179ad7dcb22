"""Events flow while everything is killed, stopped, filled, shifted and shuffled; then the books are held together.

    make faults EVENTS=100000 SEED=1

says it with more events. A finding names the event and the delivery; the run of a seed has the same events and
the same plan of faults each time, the moments at which they meet are the machine's (docs/reliability.md).
"""

import os

import pytest

from tests.faults import reconcile
from tests.faults.reconcile import Books, told

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(0 if "HOOKLINE_FAULTS_EVENTS" in os.environ else 1800),
]


def test_every_named_point_and_every_other_fault_was_there(books: Books) -> None:
    assert not books.outcome.never_fired
    assert not books.outcome.errors
    assert all(books.outcome.meddled.values())


def test_every_event_sent_was_accepted_in_the_end(books: Books) -> None:
    assert not books.outcome.accepted.refused
    assert len(books.accepted) >= books.outcome.options.events


def test_every_accepted_event_has_one_delivery_to_each_webhook_it_matches(books: Books) -> None:
    assert not told(reconcile.lost(books))


def test_every_delivery_ended_delivered_or_as_a_dead_letter(books: Books) -> None:
    assert not told(reconcile.stuck(books))
    assert {one.status for one in books.deliveries} == {"delivered", "failed"}


def test_nothing_is_there_that_nobody_sent(books: Books) -> None:
    assert not told(reconcile.unknown(books))


def test_the_endpoints_saw_what_the_database_says(books: Books) -> None:
    assert not told(reconcile.views(books))


def test_duplicates_are_bounded_and_carry_the_same_id(books: Books) -> None:
    assert not told(reconcile.duplicates(books))


def test_the_strict_webhook_got_its_events_in_order(books: Books) -> None:
    assert not told(reconcile.order(books))
