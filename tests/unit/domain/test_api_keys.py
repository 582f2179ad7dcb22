import pytest

from functions.domain import api_keys


def test_a_new_key_is_found_by_its_prefix_and_matches_only_itself() -> None:
    new, another = api_keys.new_key(), api_keys.new_key()
    assert api_keys.prefix_of(new.key) == new.prefix
    assert api_keys.matches(new.key, new.hash)
    assert not api_keys.matches(another.key, new.hash)
    assert not api_keys.matches(new.key[:-1] + "\N{SNOWMAN}", new.hash)


@pytest.mark.parametrize(
    "key", ["", "hl_", "hl_short_x", "xx_abcdefghijkl_secret", "hl_abcdefghijkl_sec_ret", "hl_äbcdefghijkl_x"]
)
def test_what_has_not_the_shape_of_a_key(key: str) -> None:
    assert api_keys.prefix_of(key) is None


def test_scopes() -> None:
    assert api_keys.permits(frozenset({"*"}), "events:write")
    assert api_keys.permits(frozenset({"events:write"}), "events:write")
    assert not api_keys.permits(frozenset({"events:read"}), "events:write")
