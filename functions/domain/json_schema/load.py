"""How much work a schema may be, before it is done: an upper bound for each place of the data that is checked.

Subschemas that are applied to the same value multiply (`allOf` of references to `anyOf` of references …), and
those applied to what is in it may again at every level. The bound is of the whole work divided by the places in
the data: asking `node` about `value` asks at most load(node) subschemas for each of the value's places.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from functions.domain.json_schema.nodes import Node, Pointer, SchemaError

MAX_HEIGHT = 64  # of data: what a body may be nested
MAX_LOAD = 10_000  # subschemas asked of one value; a thousand variants of one event are fewer
CAP = 10**9
LOOKS_BACK = 3  # `unevaluated…` asks once more what stands beside it: measured, at most three times in all
ROOT: Pointer = ()


@dataclass(frozen=True)
class Loads:
    """For each place of the data: subschemas asked, and regular expressions matched.

    `asking` and `patterns` are for a yes or no, where the validator remembers what it found for a subschema that
    recurs. `listing`, by the height of the data, is for every failing path, where it does not.
    """

    asking: int
    patterns: int
    listing: tuple[int, ...]


def loads_of(nodes: Mapping[Pointer, Node]) -> Loads:
    """Raises SchemaError where it goes round without going deeper, or is too much work."""
    order = _inner_first(nodes)
    one = dict.fromkeys(order, 1)
    asking = _remembered(nodes, _at_one_value(nodes, order, one))
    if asking > MAX_LOAD:
        raise SchemaError((), f"is too complex: more than {MAX_LOAD} subschemas would be asked of one value")
    matched = _at_one_value(nodes, order, {at: nodes[at].patterns for at in order})
    listing = _by_height(nodes, order, _at_one_value(nodes, order, one))
    return Loads(asking, _remembered(nodes, matched), listing)


def _inner_first(nodes: Mapping[Pointer, Node]) -> list[Pointer]:
    """Each node after those that it applies to the same value. Raises SchemaError for a circle."""
    try:
        return list(TopologicalSorter({at: node.here for at, node in nodes.items()}).static_order())
    except CycleError as error:
        raise SchemaError(error.args[1][0], "refers back to itself for the same value, without end") from None


def _at_one_value(
    nodes: Mapping[Pointer, Node], order: Iterable[Pointer], weights: Mapping[Pointer, int]
) -> dict[Pointer, int]:
    """What a node weighs together with all that it applies to the same value."""
    sums: dict[Pointer, int] = {}
    for at in order:
        sums[at] = min(weights[at] + _together(nodes[at], sums), CAP)
    return sums


def _remembered(nodes: Mapping[Pointer, Node], own: Mapping[Pointer, int]) -> int:
    """The root's load, where each subschema that recurs is asked once for a value."""
    order, recurring = _depth_first(nodes)
    loads = dict.fromkeys(recurring, 1)
    inner: dict[Pointer, int] = {}
    for at in order:
        loads[at], inner[at] = _load(nodes[at], own[at], loads, inner)
    return min(loads[ROOT] * (1 + len(recurring)), CAP)


def _by_height(
    nodes: Mapping[Pointer, Node], order: Iterable[Pointer], own: Mapping[Pointer, int]
) -> tuple[int, ...]:
    """The root's load for data of each height, where everything is asked every time."""
    loads, heights = dict(own), [own[ROOT]]
    while len(heights) <= MAX_HEIGHT:
        higher: dict[Pointer, int] = {}
        inner: dict[Pointer, int] = {}
        for at in order:
            higher[at], inner[at] = _load(nodes[at], own[at], loads, inner)
        if higher == loads:
            return (*heights, *[heights[-1]] * (MAX_HEIGHT + 1 - len(heights)))
        loads = higher
        heights.append(loads[ROOT])
    return tuple(heights)


def _load(node: Node, own: int, loads: Mapping[Pointer, int], inner: Mapping[Pointer, int]) -> tuple[int, int]:
    """The node's load, and what of it falls to each member or item: of itself, and of what it applies beside."""
    members = max((loads[at] for at in node.one_member), default=0) + sum(loads[at] for at in node.all_members)
    items = max((loads[at] for at in node.one_item), default=0) + sum(loads[at] for at in node.all_items)
    within = min(max(members, items) + _together(node, inner), CAP)
    return max(own, within), within


def _together(node: Node, values: Mapping[Pointer, int]) -> int:
    return sum(values.get(at, 0) for at in node.here) * (LOOKS_BACK if node.looks_back else 1)


def _depth_first(nodes: Mapping[Pointer, Node]) -> tuple[list[Pointer], set[Pointer]]:
    """What the root reaches, each node after what it leads to, and the nodes that lead back to themselves."""
    order: list[Pointer] = []
    recurring: set[Pointer] = set()
    entered, stack = {ROOT: False}, [(ROOT, iter(nodes[ROOT].targets))]
    while stack:
        at, targets = stack[-1]
        target = next(targets, None)
        if target is None:
            entered[at] = True
            order.append(at)
            stack.pop()
        elif target not in entered:
            entered[target] = False
            stack.append((target, iter(nodes[target].targets)))
        elif not entered[target]:
            recurring.add(target)
    return order, recurring
