from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from functions.domain import retry

CHANCE = st.floats(0, 1, exclude_max=True)


def test_the_schedule() -> None:
    longest = [retry.delay(attempt, 1.0) for attempt in range(1, 7)]
    assert longest == [timedelta(seconds=s) for s in (10, 100, 1000, 10_000, 86_400, 86_400)]


@given(attempt=st.integers(1, 32767), chance=CHANCE)
def test_every_delay_is_in_the_second_half_of_its_step(attempt: int, chance: float) -> None:
    step = retry.delay(attempt, 1.0)
    assert step / 2 <= retry.delay(attempt, chance) <= step <= retry.CAP
