from local.sqs.deadlines import Deadlines
from local.sqs.fair_order import FairOrder


def test_groups_take_turns_and_each_is_served_oldest_first() -> None:
    order = FairOrder()
    for seq, group in enumerate("aaaabbc"):
        order.add(seq, group)
    assert [order.take() for _ in range(8)] == [0, 4, 6, 1, 5, 2, 3, None]


def test_a_quiet_group_never_waits_for_a_backlog() -> None:
    order = FairOrder()
    for seq in range(1000):
        order.add(seq, "noisy")
    assert order.take() == 0
    order.add(1000, "quiet")
    assert [order.take(), order.take()] == [1, 1000]


def test_a_message_that_returns_is_served_before_younger_ones_of_its_group() -> None:
    order = FairOrder()
    for seq in (2, 3, 1):
        order.add(seq, "a")
    assert [order.take() for _ in range(3)] == [1, 2, 3]


def test_messages_without_a_group_are_tenants_of_their_own() -> None:
    order = FairOrder()
    for seq, group in [(0, "noisy"), (1, "noisy"), (2, "noisy"), (3, None), (4, None)]:
        order.add(seq, group)
    assert [order.take() for _ in range(5)] == [0, 3, 4, 1, 2]


def test_deadlines_come_in_order_and_only_once() -> None:
    deadlines = Deadlines()
    for key, at in [(1, 30), (2, 10), (3, 20), (4, 40)]:
        deadlines.set(key, at)
    deadlines.set(1, 15)
    assert deadlines.discard(3)
    assert not deadlines.discard(3)
    assert deadlines.next() == 10
    assert list(deadlines.pop_due(30)) == [2, 1]
    assert (len(deadlines), deadlines.next()) == (1, 40)
    assert list(deadlines.pop_due(30)) == []


def test_removed_deadlines_do_not_pile_up() -> None:
    deadlines = Deadlines()
    for key in range(10_000):
        deadlines.set(key, key)
        if key >= 10:
            deadlines.discard(key - 10)
    assert len(deadlines) == 10
    assert len(deadlines._heap) < 200
