import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain import payload
from functions.errors import ApiError, BadRequest, Invalid, PayloadTooLarge

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), inner)
    ),
)


@given(value=JSON, escaped=st.booleans())
def test_ordinary_json_passes_unchanged(value: object, escaped: bool) -> None:
    assert payload.parse(json.dumps(value, ensure_ascii=escaped)) == value


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", BadRequest),
        ("{", BadRequest),
        ('{"a":1,}', BadRequest),
        ("[NaN]", BadRequest),
        ("[Infinity]", BadRequest),
        ("[-Infinity]", BadRequest),
        ("\ufeff{}", BadRequest),
        ('{"a":1,"a":2}', Invalid),
        ('{"x":{"a":1,"a":2}}', Invalid),
        ('["\\u0000"]', Invalid),
        ('{"\\u0000":1}', Invalid),
        ('["\\ud800"]', Invalid),
        ('["\\udc00\\ud800"]', Invalid),
        ("[1e131071]", Invalid),
        ("[1e309]", Invalid),
        ("[-1e309]", Invalid),
        ("[1e-400]", Invalid),
        ("[1E99999999999999999999]", Invalid),
        ("[0e99999999999999999999]", Invalid),
        ("[" + "9" * 400 + "]", Invalid),
        ("[" + "9" * 5000 + "]", Invalid),
        ("[0." + "1" * 5000 + "]", Invalid),
        ("[" + "1e308," * 2000 + "1]", PayloadTooLarge),
        ("[" * 65 + "]" * 65, Invalid),
        ('{"a":' * 65 + "1" + "}" * 65, Invalid),
        ("[" * 500_000, Invalid),
    ],
)
def test_what_is_refused(body: str, error: type[ApiError]) -> None:
    with pytest.raises(error):
        payload.parse(body)


@pytest.mark.parametrize(
    "body",
    [
        "[" * 64 + "]" * 64,
        '["\\\\u0000"]',
        '["\\ud83d\\ude00"]',
        "[1.7976931348623157e308]",
        "[5e-324]",
        "[-0.0]",
        "[" + "[]," * 200 + "1]",
    ],
)
def test_what_is_just_allowed(body: str) -> None:
    payload.parse(body)


def test_a_refusal_names_the_place() -> None:
    with pytest.raises(Invalid) as caught:
        payload.parse('{"data":{"items":[1,"a\\u0000b"]}}')
    assert caught.value.details[0].path == "data.items.1"
