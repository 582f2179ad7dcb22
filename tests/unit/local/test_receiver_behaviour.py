import pytest

from local.receiver.behaviour import Behaviour, BehaviourError, Mode


def test_an_endpoint_that_is_told_nothing_accepts_everything():
    behaviour = Behaviour.parse({})
    assert not any(behaviour.refuses(event_number=n, first_attempt=True) for n in range(1, 20))


def test_fail_first_refuses_the_first_attempt_of_every_kth_event_and_no_other():
    behaviour = Behaviour.parse({"mode": "fail-first", "every": 3})
    refused = [n for n in range(1, 10) if behaviour.refuses(event_number=n, first_attempt=True)]
    assert refused == [3, 6, 9]
    assert not any(behaviour.refuses(event_number=n, first_attempt=False) for n in range(1, 10))


def test_always_fail_refuses_every_attempt():
    behaviour = Behaviour.parse({"mode": "always-fail"})
    assert behaviour.refuses(event_number=1, first_attempt=True)
    assert behaviour.refuses(event_number=1, first_attempt=False)


def test_only_slow_pauses_and_as_long_as_it_is_told():
    assert Behaviour.parse({"mode": "slow", "delay_seconds": 0.25}).pause_seconds == 0.25
    assert Behaviour.parse({"mode": "ok", "delay_seconds": 0.25}).pause_seconds == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": "sometimes"},
        {"every": 0},
        {"every": 1.5},
        {"every": True},
        {"delay_seconds": -1},
        {"delay_seconds": 61},
        {"delay_seconds": "long"},
        {"status": 200},
        {"status": "500"},
        {"colour": "red"},
    ],
)
def test_what_is_no_behaviour_is_refused(fields):
    with pytest.raises(BehaviourError):
        Behaviour.parse(fields)


def test_modes_have_the_names_the_control_api_takes():
    assert {mode.value for mode in Mode} == {"ok", "fail-first", "always-fail", "slow"}
