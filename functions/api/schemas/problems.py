"""What a validator finds wrong inside a field, said at its own path."""

from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError


def problems(found: Iterable[tuple[tuple[str | int, ...], str]]) -> ValidationError:
    """What to raise for these (path below the field, sentence)."""
    details = [
        InitErrorDetails(type=PydanticCustomError("problem", "{message}", {"message": said}), loc=path, input=None)
        for path, said in found
    ]
    return ValidationError.from_exception_data("problems", details)
