"""What a stage may be told."""

from dataclasses import replace

import pytest

from infrastructure.config import DEV


def test_limits_are_those_that_the_functions_know() -> None:
    assert replace(DEV, limits=(("CIRCUIT_STRIKES", 20),)).limits == (("CIRCUIT_STRIKES", 20),)
    with pytest.raises(ValueError, match="CIRCUIT_STRIKE=20 is no limit: there are CIRCUIT_MOST_SECONDS"):
        replace(DEV, limits=(("CIRCUIT_STRIKE", 20),))
    with pytest.raises(ValueError, match="each from 1"):
        replace(DEV, limits=(("CIRCUIT_STRIKES", 0),))
