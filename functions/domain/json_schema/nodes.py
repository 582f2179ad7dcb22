"""A JSON Schema as the graph of its subschemas: which are applied to the same value, and which to what is in it.

Draft 2020-12 only, and complete in itself: a `$ref` names something in the same document, there is no other base.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_DEPTH = 32  # of the document; deeper ones are made by machines, and recurse in everybody's parser
MAX_SUBSCHEMAS = 1_000
MAX_PATTERNS = 100  # regular expressions: each takes 10 KB and more of the process's memory

Pointer = tuple[str, ...]

# To the same value; to the members of an object; to the items of an array; to nothing by itself.
HERE = {"not", "if", "then", "else", "allOf", "anyOf", "oneOf", "dependentSchemas", "dependencies"}
MEMBERS = {"properties", "additionalProperties", "patternProperties", "unevaluatedProperties", "propertyNames"}
ITEMS = {"prefixItems", "items", "contains", "unevaluatedItems"}
APART = {"$defs", "definitions", "contentSchema"}
# A member is met by one of its own name or else by the additional one, an item by one of its place or the rest.
ONE_OF = {"properties", "additionalProperties", "prefixItems", "items"}
BY_NAME = {"properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"}
IN_ORDER = {"allOf", "anyOf", "oneOf", "prefixItems"}
REFERENCES = ("$ref", "$dynamicRef")
ANCHORS = ("$anchor", "$dynamicAnchor")
LOCAL = re.compile(r"#(/.*|[A-Za-z_][-A-Za-z0-9._]*)?", re.DOTALL)


class SchemaError(Exception):
    """What is wrong with a schema, and where in it."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


@dataclass
class Node:
    """A subschema, and those it applies. Of `one…` a member or an item meets one, of `all…` perhaps each."""

    here: list[Pointer] = field(default_factory=list)
    one_member: list[Pointer] = field(default_factory=list)
    all_members: list[Pointer] = field(default_factory=list)
    one_item: list[Pointer] = field(default_factory=list)
    all_items: list[Pointer] = field(default_factory=list)
    patterns: int = 0
    looks_back: bool = False  # `unevaluated…` asks once more what was asked of the same value

    @property
    def targets(self) -> list[Pointer]:
        """All that it applies to anything."""
        return self.here + self.one_member + self.all_members + self.one_item + self.all_items


def nodes_of(schema: Any) -> dict[Pointer, Node]:
    """Every subschema by its JSON Pointer, the root's being empty. Raises SchemaError.

    What the standard's own schema finds fault with is left to that.
    """
    if _depth(schema) > MAX_DEPTH:
        raise SchemaError((), f"is nested deeper than {MAX_DEPTH} levels")
    found = dict(_walk(schema, ()))
    if len(found) > MAX_SUBSCHEMAS:
        raise SchemaError((), f"has {len(found)} subschemas, more than {MAX_SUBSCHEMAS}")
    anchors = _anchors(found)
    nodes = {at: _node(at, subschema) for at, subschema in found.items()}
    for at, subschema in found.items():
        nodes[at].here += _targets(at, subschema, found, anchors)
    if sum(node.patterns for node in nodes.values()) > MAX_PATTERNS:
        raise SchemaError((), f"has more than {MAX_PATTERNS} regular expressions")
    return nodes


def _walk(schema: Any, at: Pointer) -> Iterator[tuple[Pointer, dict[str, Any]]]:
    subschema = schema if isinstance(schema, dict) else {}
    _check_identity(subschema, at)
    yield at, subschema
    for keyword, value in subschema.items():
        for place, inner in _subschemas(keyword, value):
            yield from _walk(inner, (*at, *place))


def _subschemas(keyword: str, value: Any) -> Iterator[tuple[Pointer, Any]]:
    if keyword in BY_NAME and isinstance(value, dict):
        yield from (((keyword, name), inner) for name, inner in value.items() if isinstance(inner, dict | bool))
    elif keyword in IN_ORDER and isinstance(value, list):
        yield from (((keyword, str(place)), inner) for place, inner in enumerate(value))
    elif keyword in (HERE | MEMBERS | ITEMS | APART) - BY_NAME - IN_ORDER and isinstance(value, dict | bool):
        yield (keyword,), value


def _check_identity(subschema: dict[str, Any], at: Pointer) -> None:
    """Another dialect, or another base for references, would make it another document. Raises SchemaError."""
    dialect = subschema.get("$schema", DIALECT)
    if not isinstance(dialect, str) or dialect.removesuffix("#") != DIALECT or (at and "$schema" in subschema):
        raise SchemaError((*at, "$schema"), f"must be {DIALECT}, at the root only")
    if at and "$id" in subschema:
        raise SchemaError((*at, "$id"), "is allowed at the root only: embedded documents are not supported")


def _node(at: Pointer, subschema: dict[str, Any]) -> Node:
    node = Node(patterns=int("pattern" in subschema))
    for keyword, value in subschema.items():
        places = [(*at, *place) for place, _ in _subschemas(keyword, value)]
        if keyword in HERE:
            node.here += places
        elif keyword in MEMBERS:
            (node.one_member if keyword in ONE_OF else node.all_members).extend(places)
        elif keyword in ITEMS:
            (node.one_item if keyword in ONE_OF else node.all_items).extend(places)
        if keyword == "patternProperties":
            node.patterns += len(places)
        node.looks_back |= keyword.startswith("unevaluated")
    return node


def _anchors(found: dict[Pointer, dict[str, Any]]) -> dict[str, Pointer]:
    anchors: dict[str, Pointer] = {}
    for at, subschema in found.items():
        for keyword in ANCHORS:
            name = subschema.get(keyword)
            if isinstance(name, str) and anchors.setdefault(name, at) != at:
                raise SchemaError((*at, keyword), "is there twice")
    return anchors


def _targets(
    at: Pointer, subschema: dict[str, Any], found: dict[Pointer, Any], anchors: dict[str, Pointer]
) -> Iterator[Pointer]:
    for keyword in REFERENCES:
        if isinstance(reference := subschema.get(keyword), str):
            if LOCAL.fullmatch(reference) is None:
                raise SchemaError((*at, keyword), "must begin with #: nothing outside of this schema is fetched")
            target = _pointer(reference) if reference[1:2] in {"", "/"} else anchors.get(reference[1:])
            if target not in found:
                raise SchemaError((*at, keyword), "names no subschema of this schema")
            yield target


def _pointer(reference: str) -> Pointer:
    """RFC 6901, as the fragment of a URI."""
    parts = unquote(reference[1:]).split("/")[1:]
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += any(isinstance(one, dict | list) for one in level)
        inner = [one for one in level if isinstance(one, dict | list)]
        level = [item for one in inner for item in (one.values() if isinstance(one, dict) else one)]
    return depth
