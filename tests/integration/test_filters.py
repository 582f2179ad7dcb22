"""The two evaluators of filters give the same answer: the compiled jsonpath in Postgres, and Python's."""

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pg8000.native
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.domain.filters import FilterError, compile_filter, explain, matches
from tests.conftest import Databases
from tests.unit.domain.filter_cases import ROWS
from tests.unit.domain.filter_vectors import VECTORS

ANSWERS = """
SELECT n, CAST(data AS jsonb) @@ CAST(path AS jsonpath)
FROM jsonb_to_recordset(CAST(:cases AS jsonb)) AS x (n integer, data text, path text) ORDER BY n
"""
DRAWS = 500  # of several cases each
BATCH = 1000

Case = tuple[dict[str, Any], Any]


@pytest.fixture(scope="module")
def sql(databases: Databases) -> Iterator[pg8000.native.Connection]:
    with databases.connect(databases.empty()) as connection:
        yield connection


def exact(value: Any) -> str:
    """JSON with every digit of a Decimal."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{exact(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(exact, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def in_postgres(sql: pg8000.native.Connection, cases: Sequence[Case]) -> list[bool | None]:
    rows = [
        {"n": n, "data": exact(data), "path": compile_filter(filter)} for n, (filter, data) in enumerate(cases)
    ]
    return [row[1] for row in sql.run(ANSWERS, cases=json.dumps(rows))]


def disagreements(sql: pg8000.native.Connection, cases: Sequence[Case]) -> list[str]:
    """Each case on which the evaluators differ, or the reasons do not fit the answer; the shortest first."""
    wrong = []
    for at in range(0, len(cases), BATCH):
        batch = cases[at : at + BATCH]
        for (filter, data), answer in zip(batch, in_postgres(sql, batch), strict=True):
            here = matches(filter, data)
            if answer is not here or bool(explain(filter, data)) is here:
                wrong.append(f"{exact(filter)} on {exact(data)}: Postgres {answer}, Python {here}")
    return sorted(wrong, key=len)


# Few names and values, so that filters meet data they match; among them what each side could get wrong.
NAMES = ["a", "b", "0", "a.b", "gt", "not", "$x", 'q"', "\\", "é", "𝄞", " ", "\n"]
TEXTS = [
    "",
    "a",
    "ab",
    "b",
    "5",
    "a\n",
    "\n",
    "a.b",
    ".",
    "[a]*",
    "a\\",
    '"',
    "𝄞",
    "é",
    "Z",
    "\x01",
    "\uffff",
    "true",
]
NUMBERS = [0, 1, 5, -1, 1.0, 0.1, -0.5, 1e300, 5e-300, 2**63, 10**40, Decimal("0.10"), Decimal("1E+2"), 100]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS),
    st.sampled_from(TEXTS),
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False, places=3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=4),
)
common = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(TEXTS), st.none(), st.booleans())
names = st.sampled_from(NAMES)
values = st.recursive(
    st.one_of(common, common, common, scalars),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3), st.dictionaries(names, inner)
    ),
    max_leaves=8,
)
objects = st.dictionaries(names, values, min_size=1, max_size=5)
data = st.one_of(objects, objects, objects, values)


def escaped(name: str) -> str:
    """As a path spells it; a backslash before the first character is never wrong."""
    return "\\" + name.replace("\\", "\\\\").replace(".", "\\.") if name != "\\" else "\\\\"


spelled = names.map(escaped)
paths = st.lists(st.one_of(spelled, spelled, st.sampled_from("012")), min_size=1, max_size=3).map(".".join)
ordered = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(TEXTS), st.integers(), st.text("ab", max_size=3))
lists = st.lists(values, min_size=1, max_size=4)
Drawn = st.SearchStrategy[Any]


def of_one(pairs: Sequence[tuple[str, Drawn]]) -> Drawn:
    """Objects with one or two of these members."""
    each = st.one_of(*(st.tuples(st.just(name), value) for name, value in pairs))
    return st.lists(each, min_size=1, max_size=2).map(dict)


def conditions(inner: Drawn) -> Drawn:
    """Operators on a value, or fields of it; `inner` are conditions one level further down."""
    tests = [
        *((name, values) for name in ("eq", "ne", "contains")),
        *((name, ordered) for name in ("gt", "gte", "lt", "lte")),
        *((name, lists) for name in ("in", "nin")),
        *((name, st.sampled_from(TEXTS)) for name in ("starts_with", "ends_with")),
        *((name, inner) for name in ("any", "all", "not")),
        *((name, st.lists(inner, min_size=1, max_size=3)) for name in ("and", "or")),
    ]
    presence = st.booleans().map(lambda wanted: {"exists": wanted})
    perhaps = st.tuples(presence, inner).map(lambda both: {"or": list(both)})
    beneath = st.one_of(inner, inner, presence, perhaps)
    fields = st.dictionaries(paths, beneath, min_size=1, max_size=2)
    negated = st.one_of(fields, inner).map(lambda one: {"not": one})
    return st.one_of(of_one(tests), fields, fields, negated)


filters = conditions(st.recursive(common, conditions, max_leaves=6))


def parts(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every path into the data with what is there."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in members:
        here = f"{path}.{name if isinstance(name, int) else escaped(name)}".lstrip(".")
        yield here, one
        yield from parts(one, here)


def about(value: Any, other: Any) -> list[Any]:
    """Conditions on a value of this kind, of which some are met."""
    found = [{"eq": value}, {"ne": value}, {"in": [other, value]}, {"nin": [other, value]}, {"not": {"eq": value}}]
    if isinstance(value, str):
        found += [{"starts_with": value[:1]}, {"ends_with": value[-2:]}, {"contains": value[1:]}, {"gte": value}]
    if isinstance(value, list):
        found += [
            {"contains": value[0]} if value else {"all": 1},
            {"any": {"in": [*value, other]}},
            {"all": other},
        ]
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        found += [{"lte": value}, {"gt": value}, {"lt": value + 1}]
    return found


@st.composite
def aimed(draw: st.DrawFn) -> list[Case]:
    """Data, and filters about what is in it: they match as often as not."""
    event, other, drawn = draw(objects), draw(values), draw(filters)
    path, value = draw(st.sampled_from(list(parts(event))))
    cases: list[Case] = []
    for condition in about(value, other):
        made = {path: condition}
        cases += [
            (made, event),
            ({"not": made}, event),
            ({"or": [made, drawn]}, event),
            ({**made, **drawn}, event),
        ]
    return cases


@st.composite
def unaimed(draw: st.DrawFn) -> list[Case]:
    filter = draw(filters)
    return [(filter, one) for one in draw(st.lists(data, min_size=3, max_size=6))]


def drawn(strategy: st.SearchStrategy[list[Case]]) -> list[Case]:
    """As many cases as are wanted, for a few queries. Not all filters that are drawn are filters."""
    cases: list[Case] = []

    @settings(max_examples=DRAWS, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(several: list[Case]) -> None:
        cases.extend(case for case in several if valid(case[0]))

    collect()
    return cases


def valid(filter: Any) -> bool:
    try:
        compile_filter(filter)
    except FilterError:
        return False
    return True


def test_both_evaluators_agree_on_filters_drawn_at_random(sql: pg8000.native.Connection) -> None:
    cases = drawn(unaimed())
    matching = sum(matches(filter, event) for filter, event in cases)
    assert len(cases) > 2 * DRAWS
    assert len(cases) / 20 < matching < len(cases) * 19 / 20
    assert disagreements(sql, cases)[:5] == []


def test_both_evaluators_agree_on_filters_made_for_their_data(sql: pg8000.native.Connection) -> None:
    cases = drawn(aimed())
    matching = sum(matches(filter, event) for filter, event in cases)
    assert len(cases) > 5 * DRAWS
    assert len(cases) / 4 < matching < len(cases) * 3 / 4
    assert disagreements(sql, cases)[:5] == []


def test_every_row_of_the_tables_gets_its_answer(sql: pg8000.native.Connection) -> None:
    answers = in_postgres(sql, [(filter, data) for filter, data, _ in ROWS])
    assert [row for row, answer in zip(ROWS, answers, strict=True) if answer is not row[2]] == []


def test_every_vector_of_the_peers_gets_its_answer(sql: pg8000.native.Connection) -> None:
    vectors = [vector for vector in VECTORS if vector.ours is not None]
    answers = in_postgres(sql, [(vector.filter, vector.data) for vector in vectors])
    assert [vector for vector, answer in zip(vectors, answers, strict=True) if answer is not vector.ours] == []


def test_every_character_is_only_itself_to_the_text_operators(sql: pg8000.native.Connection) -> None:
    """One column of Unicode after another: all of ASCII, and some of every plane."""
    characters = [*map(chr, range(1, 256)), *(chr(point) for point in range(256, 0x110000, 997))]
    cases: list[Case] = []
    for character in (one for one in characters if not "\ud800" <= one <= "\udfff"):
        for operator, whole in (
            ("starts_with", f"{character}a"),
            ("ends_with", f"a{character}"),
            ("contains", f"a{character}b"),
            ("eq", character),
        ):
            cases += [
                ({"s": {operator: character}}, {"s": text}) for text in (whole, "a", "\\", f"a{character}\n")
            ]
    assert disagreements(sql, cases)[:5] == []
    assert sum(matches(filter, data) for filter, data in cases) > len(cases) / 4


def test_the_largest_filters_there_may_be_compile_and_run(sql: pg8000.native.Connection) -> None:
    deep: Any = {"a": {"any": 1}}
    for _ in range(7):
        deep = {"not": {"not": deep}}
    largest: list[Case] = [
        ({f"f{n}": n for n in range(100)}, {f"f{n}": n for n in range(100)}),
        ({"a": {"in": [f"{n:04}" * 15 for n in range(200)]}}, {"a": "0199" * 15}),
        (deep, {"a": [1]}),
        ({".".join(["a" * 30] * 16): {"exists": False}}, {"a" * 30: {"a" * 30: 1}}),
        ({"a": [[[[[[[[[[[[[[1]]]]]]]]]]]]]]}, {"a": [[[[[[[[[[[[[[1]]]]]]]]]]]]]]}),
        ({"a": {"eq": {f"k{n}": n for n in range(1000)}}}, {"a": {f"k{n}": n for n in range(1000)}}),
        ({"or": [{"a": {"contains": f"{n:02}" * 128}} for n in range(50)]}, {"a": "x" + "49" * 128}),
        ({"a": {"lt": 10**1023}, "b": {"gt": Decimal("1E-1022")}}, {"a": 10**1022, "b": 1}),
    ]
    assert in_postgres(sql, largest) == [matches(filter, data) for filter, data in largest]
    assert disagreements(sql, largest) == []


def test_a_literal_cannot_leave_its_place(sql: pg8000.native.Connection) -> None:
    """What would match everything if a text or a name became part of the predicate."""
    attempts = [
        '" || 1 == 1 || @ == "',
        '\\" || 1 == 1',
        '")) || exists($',
        "\\",
        '"',
        "\\u0022",
        "$ ? (1 == 1)",
        "*/",
    ]
    cases: list[Case] = []
    for text in attempts:
        cases += [({"a": {operator: text}}, {"a": "b"}) for operator in ("eq", "contains", "ends_with", "gt")]
        cases += [({escaped(text): 1}, {"a": 1}), ({"a": {"eq": {text: 1}}}, {"a": {}})]
    assert disagreements(sql, cases) == []
    assert not any(matches(filter, data) for filter, data in cases if "gt" not in str(filter))
