from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain import retry

CHANCE = st.floats(0, 1, exclude_max=True)
SECONDS = st.integers(retry.MIN_SECONDS, retry.MAX_SECONDS)
STRATEGIES = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("exponential")},
        optional={"initial_seconds": SECONDS, "factor": st.floats(1, 100), "max_seconds": SECONDS},
    ),
    st.fixed_dictionaries({"kind": st.just("linear")}, optional={"step_seconds": SECONDS, "max_seconds": SECONDS}),
    st.fixed_dictionaries({"kind": st.just("fixed")}, optional={"delay_seconds": SECONDS}),
    st.fixed_dictionaries(
        {"kind": st.just("custom"), "delays_seconds": st.lists(SECONDS, min_size=1, max_size=20)}
    ),
)


def waits(stored: dict, attempts: int = 7) -> list[float]:
    """In seconds, each the longest it can be."""
    return [
        retry.delay(retry.complete(stored), attempt, 1.0).total_seconds() for attempt in range(1, attempts + 1)
    ]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"kind": "exponential"}, [10, 100, 1000, 10_000, 86_400, 86_400, 86_400]),
        ({"kind": "exponential", "factor": 2, "jitter": False}, [10, 20, 40, 80, 160, 320, 640]),
        (
            {"kind": "exponential", "factor": 1.5, "initial_seconds": 8, "max_seconds": 20},
            [8, 12, 18, 20, 20, 20, 20],
        ),
        ({"kind": "exponential", "initial_seconds": 90, "max_seconds": 30}, [30] * 7),
        ({"kind": "linear"}, [60, 120, 180, 240, 300, 360, 420]),
        ({"kind": "linear", "step_seconds": 300, "max_seconds": 700}, [300, 600, 700, 700, 700, 700, 700]),
        ({"kind": "fixed"}, [60] * 7),
        ({"kind": "fixed", "delay_seconds": 604_800, "jitter": True}, [604_800] * 7),
        ({"kind": "custom", "delays_seconds": [5, 60, 3600]}, [5, 60, 3600, 3600, 3600, 3600, 3600]),
    ],
)
def test_schedules(stored: dict, expected: list[float]) -> None:
    assert waits(stored) == expected


@given(stored=STRATEGIES, attempt=st.integers(1, 32767), chance=CHANCE, jitter=st.booleans())
def test_every_delay_is_within_bounds_and_jitter_within_the_second_half(
    stored: dict, attempt: int, chance: float, jitter: bool
) -> None:
    strategy = retry.complete({**stored, "jitter": jitter})
    step = retry.delay(strategy, attempt, 1.0)
    assert timedelta(seconds=1) <= step <= timedelta(days=7)
    wait = retry.delay(strategy, attempt, chance)
    assert step / 2 <= wait <= step if jitter else wait == step


@given(stored=STRATEGIES)
def test_a_strategy_is_stored_without_its_defaults_and_reads_back_whole(stored: dict) -> None:
    whole = retry.complete(stored)
    assert retry.complete(retry.brief(whole)) == retry.filled(dict(retry.brief(whole))) == whole


def test_the_default_is_stored_as_the_column_has_it() -> None:
    assert retry.brief(retry.DEFAULT) == {"kind": "exponential"}
    assert retry.complete({"kind": "exponential"}) == retry.DEFAULT


@pytest.mark.parametrize(
    "stored",
    [
        *(None, [], "exponential", {}, {"kind": None}, {"kind": []}, {"kind": "quadratic"}),
        *({"kind": "fixed", "delay_seconds": value} for value in (0, 604_801, "60", None, True, float("nan"))),
        *({"kind": "exponential", "factor": value} for value in (0.5, 101, "2", float("inf"))),
        *({"kind": "custom", "delays_seconds": value} for value in ([], [0], ["5"], 5, [1] * 21, None)),
        *({"kind": "custom"}, {"kind": "linear", "jitter": "yes"}),
    ],
)
def test_what_is_no_strategy(stored: object) -> None:
    with pytest.raises(ValueError, match="not a retry strategy"):
        retry.complete(stored)
