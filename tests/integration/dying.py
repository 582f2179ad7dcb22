"""Work that dies at each of its steps in turn: at a statement, at a commit, at a call of S3."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from functions.adapters.objects import Bucket

MOST_STEPS = 1_000


class KilledError(BaseException):
    """No handler of ours takes it for an error of the database or of S3."""


@contextmanager
def dying_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The `step`-th statement, commit or call of S3 from now on does not happen, and none after it."""
    done = 0

    def count(*_: Any, **__: Any) -> None:
        nonlocal done
        done += 1
        if done >= step:
            raise KilledError

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*given: Any) -> Any:
            count()
            return call(*given)

        return instead

    with monkeypatch.context() as patched:
        for name in ("put", "get", "read", "write", "_part"):
            patched.setattr(Bucket, name, counted(getattr(Bucket, name)))
        for moment in ("before_cursor_execute", "commit"):
            event.listen(Engine, moment, count)
        try:
            yield
        finally:
            for moment in ("before_cursor_execute", "commit"):
                event.remove(Engine, moment, count)


def until_it_lives(work: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run `work` again and again, each time dying a few steps later, until it says it is done."""
    for step in range(1, MOST_STEPS, 3):
        try:
            with dying_at(step, monkeypatch):
                if work():
                    return
        except KilledError:
            pass
    raise AssertionError("it never came to an end")
