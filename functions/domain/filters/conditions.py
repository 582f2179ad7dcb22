"""What a filter says, read: conditions on a value: the event's data, a field of it or an element of an array."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Order = Literal["gt", "gte", "lt", "lte"]
Affix = Literal["starts_with", "ends_with"]
Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "starts_with", "ends_with", "contains"]
Quantifier = Literal["any", "all"]
Path: TypeAlias = tuple[str | int, ...]  # names of fields and indexes of arrays


@dataclass(frozen=True)
class Test:
    """A comparison of the value with an operand: of in and nin a tuple, numbers as Decimal."""

    operator: Operator
    operand: Any


@dataclass(frozen=True)
class Exists:
    wanted: bool


@dataclass(frozen=True)
class Elements:
    """The value is an array, and any or all of its elements meet the condition."""

    which: Quantifier
    condition: "Condition"


@dataclass(frozen=True)
class Field:
    """What the path leads to from the value meets the condition."""

    path: Path
    condition: "Condition"


@dataclass(frozen=True)
class Both:
    """Every one of the conditions."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True)
class Either:
    conditions: tuple["Condition", ...]


@dataclass(frozen=True)
class Not:
    """The value is there and does not meet the condition."""

    condition: "Condition"


Condition: TypeAlias = Test | Exists | Elements | Field | Both | Either | Not


def missing_meets(condition: Condition) -> bool:
    """Whether a value that is not there meets the condition: only where `exists: false` says so."""
    if isinstance(condition, Exists):
        return not condition.wanted
    if isinstance(condition, Both):
        return all(missing_meets(one) for one in condition.conditions)
    if isinstance(condition, Either):
        return any(missing_meets(one) for one in condition.conditions)
    return isinstance(condition, Field) and missing_meets(condition.condition)


def clauses(condition: Condition) -> int:
    """How many operators and implicit equalities it has."""
    if isinstance(condition, Both | Either):
        return sum(clauses(one) for one in condition.conditions)
    return 1 if isinstance(condition, Test | Exists) else clauses(condition.condition)


def comparisons_an_element(condition: Condition, *, within: bool = False) -> int:
    """With how many values each element of an array in the data may be compared."""
    if isinstance(condition, Both | Either):
        return sum(comparisons_an_element(one, within=within) for one in condition.conditions)
    if isinstance(condition, Test):
        return _size(condition.operand) if within or condition.operator == "contains" else 0
    if isinstance(condition, Exists):
        return 0
    return comparisons_an_element(condition.condition, within=within or isinstance(condition, Elements))


def _size(operand: Any) -> int:
    """The scalars of a literal, an empty array or object counting as one."""
    members = operand.values() if isinstance(operand, dict) else operand
    return max(1, sum(map(_size, members))) if isinstance(operand, (dict, list, tuple)) else 1
