import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.ids import uuid7
from functions.domain.messages import (
    DeadLetter,
    Deliveries,
    ForeignMessageError,
    Job,
    Rescrape,
    dead,
    job,
    pack,
    parse,
    parse_job,
    parse_rescrape,
    rescrape,
)

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


def test_a_job_is_parsed_on_its_own_queue_and_foreign_on_the_others() -> None:
    assert job(Job(ID, 3)) == f'{{"v":1,"job":"{ID}","token":3}}'
    assert parse_job(job(Job(ID, 3))) == Job(ID, 3)
    with pytest.raises(ForeignMessageError):
        parse(job(Job(ID, 3)))
    for body in (dead(DeadLetter(ID, 3)), *pack([(ID, 3)])):
        with pytest.raises(ForeignMessageError):
            parse_job(body)


def test_a_rescrape_is_parsed_on_its_own_queue_and_foreign_on_the_others() -> None:
    body = rescrape(Rescrape(ID, 3))
    assert body == f'{{"v":1,"rescrape":"{ID}","token":3}}'
    assert parse_rescrape(body) == Rescrape(ID, 3)
    for read in (parse, parse_job):
        with pytest.raises(ForeignMessageError):
            read(body)
    for other in (job(Job(ID, 3)), dead(DeadLetter(ID, 3)), *pack([(ID, 3)])):
        with pytest.raises(ForeignMessageError):
            parse_rescrape(other)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["v", "deliveries", "dead", "job", "rescrape", "token", "x"]), inner)
    ),
)


@pytest.mark.parametrize("read", [parse, parse_job, parse_rescrape])
@given(body=JSON.map(json.dumps) | st.text())
def test_whatever_else_is_foreign(read: Callable[[str], object], body: str) -> None:
    with pytest.raises(ForeignMessageError):
        read(body)


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
        f'{{"v":1,"job":"{ID}"}}',
        f'{{"v":1,"job":"{ID}","token":0}}',
        f'{{"v":1,"job":"{ID}","token":true}}',
        f'{{"v":2,"job":"{ID}","token":1}}',
        '{"v":1,"job":"x","token":1}',
        "[" * 100_000,
    ],
)
@pytest.mark.parametrize("read", [parse, parse_job, parse_rescrape])
def test_nearly_ours_is_foreign(read: Callable[[str], object], body: str) -> None:
    with pytest.raises(ForeignMessageError):
        read(body)
