import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.event_types import is_name, is_pattern, patterns_matching

PART = st.text("abcXYZ019_-", min_size=1, max_size=5)
NAMES = st.lists(PART, min_size=1, max_size=6).map(".".join)


@pytest.mark.parametrize("name", ["a", "invoice.paid", "a-b.c_d.E9", "x" * 255])
def test_names(name: str) -> None:
    assert is_name(name)
    assert is_pattern(name)


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", "a..b", "a b", "ä", "a.*", "*", "a\n", "x" * 256])
def test_what_is_no_name(name: str) -> None:
    assert not is_name(name)


@pytest.mark.parametrize("pattern", ["", "*.a", "a*", "a.*.b", "**", ".*", "a.**", "*\n"])
def test_what_is_no_pattern(pattern: str) -> None:
    assert not is_pattern(pattern)


def test_every_pattern_that_matches_is_listed() -> None:
    assert sorted(patterns_matching("a.b.c")) == ["*", "a.*", "a.b.*", "a.b.c"]
    assert sorted(patterns_matching("a")) == ["*", "a"]


def test_a_star_does_not_match_what_hookline_tells_of_itself() -> None:
    name = "hookline.webhook.slow"
    assert sorted(patterns_matching(name)) == ["hookline.*", "hookline.webhook.*", "hookline.webhook.slow"]
    assert "*" in patterns_matching("hookline")


def matches(pattern: str, name: str) -> bool:
    """The rule as a regular expression, to hold the expansion against."""
    if pattern == "*":
        return not name.startswith("hookline.")
    if pattern.endswith(".*"):
        return re.fullmatch(re.escape(pattern[:-1]) + ".+", name) is not None
    return pattern == name


@given(name=NAMES, other=NAMES)
def test_the_expansion_is_the_rule(name: str, other: str) -> None:
    listed = patterns_matching(name)
    assert all(is_pattern(pattern) and matches(pattern, name) for pattern in listed)
    for pattern in (other, f"{other}.*", "*"):
        assert (pattern in listed) == matches(pattern, name)
