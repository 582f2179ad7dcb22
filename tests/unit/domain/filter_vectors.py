"""What two peers document of their filters, each beside the same said in ours.

Outpost: hookdeck/outpost, internal/simplejsonmatch (README and the cases it ports from simple-json-match) and
hookdeck.com/docs/outpost/features/filter. Convoy: frain-dev/convoy, pkg/compare at commit 0eecca2, and
docs.getconvoy.io/product-manual/filters. `why` is empty where the answers are the same; docs/filters.md tells each
of the others.
"""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Vector:
    peer: Literal["outpost", "convoy"]
    written: dict[str, Any]  # as the peer writes it
    filter: dict[str, Any]  # the same words in ours
    data: Any
    theirs: bool
    ours: bool | None  # None: we refuse the filter
    why: str = ""


def same(peer: Literal["outpost", "convoy"], written: Any, filter: Any, data: Any, answer: bool) -> Vector:
    return Vector(peer, written, filter, data, answer, answer)


MISSING = "a missing field never matches"
ABSENT = "a path that leads nowhere is missing, wherever it ends"
NO_UNWRAPPING = "an array is a value like another; its elements are asked for by any, all and contains"
WHOLE = "an array equals one with the same elements in the same order"
ONE_MEANING = "in looks for the value in the list; contains looks into the value"
ONE_TEXT = "starts_with and ends_with take one text; or joins several"
TYPES = "a value of another type is neither less nor greater"
EXACT = "numbers are compared exactly, not as 64-bit floats"
EMPTY = "an empty filter is refused; null means none"

OUTPOST = [
    same("outpost", {"type": "created"}, {"type": "created"}, {"type": "created"}, True),
    same("outpost", {"type": "created"}, {"type": "created"}, {}, False),
    same("outpost", {"type": "created"}, {"type": "created"}, {"type": 1}, False),
    same("outpost", {"count": 1, "type": "created"}, {"count": 1, "type": "created"}, {"count": 1}, False),
    same("outpost", {"count": {"$gt": 1, "$lt": 3}}, {"count": {"gt": 1, "lt": 3}}, {"count": 2}, True),
    same("outpost", {"count": {"$gt": 1, "$lt": 3}}, {"count": {"gt": 1, "lt": 3}}, {"count": 4}, False),
    same("outpost", {"count": {"$neq": 2}}, {"count": {"ne": 2}}, {"count": 2}, False),
    same("outpost", {"count": {"$neq": 2}}, {"count": {"ne": 2}}, {}, False),
    same("outpost", {"title": {"$gt": "b"}}, {"title": {"gt": "b"}}, {"title": "c"}, True),
    same("outpost", {"title": {"$gt": "b"}}, {"title": {"gt": "b"}}, {"title": "a"}, False),
    same("outpost", {"a": {"$gt": 1}}, {"a": {"gt": 1}}, {"a": "2"}, False),
    same("outpost", {"a": {"b": "x"}}, {"a": {"b": "x"}}, {"a": {"b": "x", "c": 1}}, True),
    same("outpost", {"a": {"b": "x"}}, {"a": {"b": "x"}}, {"a": "x"}, False),
    same("outpost", {"a": 1}, {"a": 1}, {"a": {"b": 1}}, False),
    same("outpost", {"a": None}, {"a": None}, {"a": None}, True),
    same("outpost", {"a": False}, {"a": False}, {"a": None}, False),
    same("outpost", {"a": {"$neq": None}}, {"a": {"ne": None}}, {"a": None}, False),
    same("outpost", {"t": {"$startsWith": "some"}}, {"t": {"starts_with": "some"}}, {"t": "some-text"}, True),
    same("outpost", {"t": {"$endsWith": "some"}}, {"t": {"ends_with": "some"}}, {"t": "some-text"}, False),
    same("outpost", {"t": {"$startsWith": "x"}}, {"t": {"starts_with": "x"}}, {"t": {"more": True}}, False),
    same("outpost", {"id": {"$in": [123, 456]}}, {"id": {"in": [123, 456]}}, {"id": 123}, True),
    same("outpost", {"id": {"$nin": [123, 456]}}, {"id": {"nin": [123, 456]}}, {"id": 123}, False),
    same("outpost", {"id": {"$nin": [1]}}, {"id": {"nin": [1]}}, {}, False),
    same("outpost", {"t": {"$eq": ["a", "b"]}}, {"t": {"eq": ["a", "b"]}}, {"t": ["a", "b"]}, True),
    same("outpost", {"t": {"$eq": ["a", "b"]}}, {"t": {"eq": ["a", "b"]}}, {"t": ["a", "b", "c"]}, False),
    same("outpost", {"a": {"$exist": True}}, {"a": {"exists": True}}, {"a": "x"}, True),
    same("outpost", {"a": {"$exist": True}}, {"a": {"exists": True}}, {"b": "x"}, False),
    same("outpost", {"a": {"$exist": False}}, {"a": {"exists": False}}, {"b": "x"}, True),
    same("outpost", {"a": {"b": {"$exist": False}}}, {"a": {"b": {"exists": False}}}, {"a": {"c": 1}}, True),
    Vector(
        "outpost",
        {"a": {"b": {"$exist": False}}},
        {"a": {"b": {"exists": False}}},
        {"c": 1},
        theirs=False,
        ours=True,
        why=ABSENT,
    ),
    same("outpost", {"$or": [{"a": 1}, {"b": 2}]}, {"or": [{"a": 1}, {"b": 2}]}, {"b": 2}, True),
    same("outpost", {"$and": [{"a": 1}, {"b": 2}]}, {"and": [{"a": 1}, {"b": 2}]}, {"b": 2}, False),
    same("outpost", {"a": {"$or": [1, 5]}}, {"a": {"or": [1, 5]}}, {"a": 5}, True),
    same("outpost", {"$not": {"a": "x"}}, {"not": {"a": "x"}}, {"a": "x"}, False),
    same("outpost", {"$not": {"a": "x"}}, {"not": {"a": "x"}}, {}, True),
    same("outpost", {"$not": {"a": {"$exist": True}}}, {"not": {"a": {"exists": True}}}, {}, True),
    same("outpost", {"$gte": 5}, {"gte": 5}, 10, True),
    Vector("outpost", {"tags": "x"}, {"tags": "x"}, {"tags": ["x", "y"]}, True, False, NO_UNWRAPPING),
    same("outpost", {"tags": "x"}, {"tags": {"contains": "x"}}, {"tags": ["x", "y"]}, True),
    Vector("outpost", {"i": {"sku": "t"}}, {"i": {"sku": "t"}}, {"i": [{"sku": "t"}]}, True, False, NO_UNWRAPPING),
    same("outpost", {"i": {"sku": "t"}}, {"i": {"any": {"sku": "t"}}}, {"i": [{"sku": "t"}]}, True),
    Vector("outpost", {"t": ["a", "b"]}, {"t": ["a", "b"]}, {"t": ["a", "b", "c"]}, True, False, WHOLE),
    same(
        "outpost",
        {"t": ["a", "b"]},
        {"t": {"and": [{"contains": "a"}, {"contains": "b"}]}},
        {"t": ["a", "b", "c"]},
        True,
    ),
    Vector("outpost", {"t": {"$nin": ["x"]}}, {"t": {"nin": ["x"]}}, {"t": ["x"]}, False, True, NO_UNWRAPPING),
    same("outpost", {"t": {"$in": "text"}}, {"t": {"contains": "text"}}, {"t": "some-text"}, True),
    Vector("outpost", {"t": {"$in": "text"}}, {"t": {"in": "text"}}, {"t": "some-text"}, True, None, ONE_MEANING),
    same("outpost", {"t": {"$nin": "x"}}, {"t": {"not": {"contains": "x"}}}, {"t": ["x", "y"]}, False),
    same(
        "outpost",
        {"t": {"$startsWith": ["some", "else"]}},
        {"t": {"or": [{"starts_with": "some"}, {"starts_with": "else"}]}},
        {"t": "some-text"},
        True,
    ),
    Vector("outpost", {"t": {"$endsWith": ["a"]}}, {"t": {"ends_with": ["a"]}}, {"t": "a"}, True, None, ONE_TEXT),
    Vector("outpost", {"n": 2**53}, {"n": 2**53}, {"n": 2**53 + 1}, True, False, EXACT),
]
CONVOY = [
    same("convoy", {"person": {"age": 5}}, {"person": {"age": 5}}, {"person": {"age": 5}}, True),
    same("convoy", {"person.age": {"$eq": 5}}, {"person.age": {"eq": 5}}, {"person": {"age": 5}}, True),
    same("convoy", {"age": {"$neq": 5}}, {"age": {"ne": 5}}, {"age": 11}, True),
    same("convoy", {"age": {"$lt": 15}}, {"age": {"lt": 15}}, {"age": 11}, True),
    same("convoy", {"age": {"$gt": 50}}, {"age": {"gt": 50}}, {"age": 11}, False),
    same("convoy", {"n": {"$in": ["a", "b"]}}, {"n": {"in": ["a", "b"]}}, {"n": "c"}, False),
    same("convoy", {"n": {"$nin": ["a", "b"]}}, {"n": {"nin": ["a", "b"]}}, {"n": "c"}, True),
    same("convoy", {"key": "value"}, {"key": "value"}, {}, False),
    same("convoy", {"age": {"$exist": True}}, {"age": {"exists": True}}, {"age": 12}, True),
    same("convoy", {"$or": [{"a": 1}, {"b": 2}]}, {"or": [{"a": 1}, {"b": 2}]}, {"a": 0, "b": 2}, True),
    same(
        "convoy",
        {"$and": [{"person.age": {"$gte": 10}}, {"type": "weekly"}]},
        {"and": [{"person.age": {"gte": 10}}, {"type": "weekly"}]},
        {"person": {"age": 12}, "type": "weekly"},
        True,
    ),
    Vector("convoy", {"a": 1, "b": 2}, {"a": 1, "b": 2}, {"a": 1}, True, False, MISSING),
    Vector("convoy", {"a": {"$exist": False}}, {"a": {"exists": False}}, {}, False, True, ABSENT),
    Vector("convoy", {"a": {"$lt": 10}}, {"a": {"lt": 10}}, {"a": "x"}, True, False, TYPES),
    Vector("convoy", {"n": "x"}, {"n": "x"}, {"n": ["x", "y"]}, True, False, NO_UNWRAPPING),
    same("convoy", {"n": "x"}, {"n": {"contains": "x"}}, {"n": ["x", "y"]}, True),
    same("convoy", {"d.$.e": "x"}, {"d": {"any": {"e": "x"}}}, {"d": [{"e": "x"}, {"f": 1}]}, True),
    same(
        "convoy",
        {"d.$.s.$.n": "r"},
        {"d": {"any": {"s": {"any": {"n": "r"}}}}},
        {"d": [{}, {"s": [{"n": "q"}, {"n": "r"}]}]},
        True,
    ),
    Vector("convoy", {}, {}, {"a": 1}, True, None, EMPTY),
    Vector("convoy", {"n": 2**53}, {"n": 2**53}, {"n": 2**53 + 1}, True, False, EXACT),
]
VECTORS = [*OUTPOST, *CONVOY]
