"""Paths into an event's data as a filter spells them: `customer.address.country`, `items.0.sku`.

Parts are joined by dots. A part of digits is the index of an array, any other the name of a field. A backslash
makes the character after it an ordinary one: `a\\.b` is the field `a.b`, `\\0` the field `0`, `\\any` the field
`any`.
"""

import re

from functions.domain.filters.conditions import Path

MAX_LENGTH = 512  # characters, as written
MAX_PARTS = 16
MAX_INDEX = 999_999  # more elements than an event's 256 KiB can hold

PART = re.compile(r"(?:[^.\\]|\\.)*", re.DOTALL)
INDEX = re.compile(r"0|[1-9][0-9]*")
ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def parse(spelling: str) -> Path:
    """`a.b\\.c.0` → ("a", "b.c", 0). Raises ValueError with what is wrong."""
    if len(spelling) > MAX_LENGTH:
        raise ValueError(f"is a path of more than {MAX_LENGTH} characters")
    parts = tuple(map(_part, _split(spelling)))
    if len(parts) > MAX_PARTS:
        raise ValueError(f"is a path of more than {MAX_PARTS} parts")
    return parts


def spelled(path: Path) -> str:
    """The path as a filter spells it, but for names of operators, which need their backslash only at its start."""
    return ".".join(str(part) if isinstance(part, int) else _escaped(part) for part in path)


def _split(spelling: str) -> list[str]:
    parts: list[str] = []
    position = 0
    while position <= len(spelling):
        end = PART.match(spelling, position).end()  # type: ignore[union-attr] # it matches nothing, too
        if spelling[end : end + 1] == "\\":
            raise ValueError("ends with a backslash; the backslash itself is written twice")
        parts.append(spelling[position:end])
        position = end + 1
    return parts


def _part(text: str) -> str | int:
    if not text:
        raise ValueError("is a path with an empty part")
    if INDEX.fullmatch(text) is None:
        return ESCAPED.sub(r"\1", text)
    if len(text) > len(str(MAX_INDEX)):
        raise ValueError(f"has an index over {MAX_INDEX}; a field named {text} is written \\{text}")
    return int(text)


def _escaped(name: str) -> str:
    text = re.sub(r"([.\\])", r"\\\1", name)
    return "\\" + text if INDEX.fullmatch(text) else text
