import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.ids import uuid7
from functions.domain.messages import DeadLetter, Deliveries, ForeignMessageError, dead, pack, parse

ID = "01a1f8b1-9224-7dd5-93c0-8632c1ed87f3"


@given(count=st.integers(0, 250), token=st.integers(1, 2**31 - 1))
def test_what_is_packed_is_parsed(count: int, token: int) -> None:
    wanted = [(uuid7(), token) for _ in range(count)]
    bodies = list(pack(wanted))
    assert len(bodies) == -(-count // 100)
    parsed = [parse(body) for body in bodies]
    assert [pair for one in parsed if isinstance(one, Deliveries) for pair in one.tokens.items()] == wanted


def test_a_dead_letter_is_parsed() -> None:
    assert parse(dead(DeadLetter(ID, 3))) == DeadLetter(ID, 3)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["v", "deliveries", "dead", "token", "x"]), inner)
    ),
)


@given(body=JSON.map(json.dumps) | st.text())
def test_whatever_else_is_foreign(body: str) -> None:
    with pytest.raises(ForeignMessageError):
        parse(body)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"v":2,"deliveries":[["{ID}",1]]}}',
        f'{{"v":1,"deliveries":[["{ID}",0]]}}',
        f'{{"v":1,"deliveries":[["{ID}",true]]}}',
        f'{{"v":1,"deliveries":[["{ID}",1,2]]}}',
        '{"v":1,"deliveries":[]}',
        '{"v":1,"deliveries":[["x",1]]}',
        f'{{"v":1,"dead":"{ID}"}}',
        "[" * 100_000,
    ],
)
def test_nearly_ours_is_foreign(body: str) -> None:
    with pytest.raises(ForeignMessageError):
        parse(body)
