"""Times as the API takes them."""

import re

# RFC 3339, 5.6. Pydantic would also take `0.5` and `-1`, as seconds since 1970.
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def rfc3339(value: object) -> object:
    """The value, if it is a text of that form; for pydantic to parse. Raises ValueError."""
    if not isinstance(value, str) or RFC3339.fullmatch(value) is None:
        raise ValueError("must be a text such as 2026-01-31T12:00:00Z")
    return value
