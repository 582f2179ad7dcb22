"""In every process of a function: ends it at a named point when the suite has armed that point.

Python imports this module at its start, because the suite puts this folder on the PYTHONPATH that its copy of the
template gives the functions. It wraps the three adapters that functions reach the world by (database, queues,
sender) and their handlers as they are imported; the product's code knows nothing of it.

A point is armed by a file of its name in HOOKLINE_FAULT_POINTS/armed. Whoever removes the file dies there, so one
arming ends one process; it leaves a file in HOOKLINE_FAULT_POINTS/fired.
"""

import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.abc import Loader, MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(os.environ["HOOKLINE_FAULT_POINTS"])
FUNCTION = os.environ["AWS_LAMBDA_FUNCTION_NAME"].rpartition("-")[2]
# What a transaction is about, by what its statements name; the first that fits.
KINDS = (
    ("record", "INSERT INTO webhook.webhook_delivery_attempts"),
    ("accept", "INSERT INTO webhook.webhook_events"),
    ("job", "UPDATE webhook.jobs"),
    ("letter", "UPDATE webhook.webhook_dlq"),
    ("claim", "SET status = 'delivering'"),
    ("deliveries", "UPDATE webhook.webhook_deliveries"),
)


def reached(point: str) -> None:
    """Die here if the point is armed, as a killed process does: at once, with nothing tidied up."""
    name = f"{FUNCTION}.{point}"
    try:
        (FOLDER / "armed" / name).unlink()
    except OSError:
        return
    (FOLDER / "fired" / f"{name}.{os.getpid()}.{time.time_ns()}").touch()
    os.kill(os.getpid(), signal.SIGKILL)


def _database(module: Any) -> None:
    from sqlalchemy import Engine, event

    seen: set[str] = set()
    original = module.transaction

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.update(kind for kind, sign in KINDS if sign in statement)

    event.listen(Engine, "after_cursor_execute", note)

    @contextmanager
    def transaction() -> Iterator[Any]:
        seen.clear()
        with original() as connection:
            yield connection
            kind = next((kind for kind, _ in KINDS if kind in seen), "other")
            reached(f"{kind}-uncommitted")
        reached(f"{kind}-committed")

    module.transaction = transaction


def _queues(module: Any) -> None:
    original = module.send

    def send(queue_url: str, messages: Any, **options: Any) -> Any:
        wanted = list(messages)
        if wanted:
            reached("unsent")
        done = original(queue_url, wanted, **options)
        if wanted:
            reached("sent")
        return done

    module.send = send


def _sender(module: Any) -> None:
    original = module.send

    def send(*arguments: Any, **options: Any) -> Iterator[Any]:
        for finished in original(*arguments, **options):
            if any(isinstance(one, module.Response) for one in finished):
                reached("answered")
            yield finished

    module.send = send


def _handler(module: Any) -> None:
    original = module.handler

    def handler(event: Any, context: Any) -> Any:
        reached("invoked")
        answer = original(event, context)
        reached("done")
        return answer

    module.handler = handler


WRAPPERS: dict[str, Callable[[Any], None]] = {
    "functions.adapters.database": _database,
    "functions.adapters.queues": _queues,
    "functions.adapters.sender": _sender,
    f"functions.{FUNCTION}.handler": _handler,
}


class _Wrapping(Loader):
    """A module's own loader, and its wrapper after it."""

    def __init__(self, loader: Loader, wrap: Callable[[Any], None]) -> None:
        self._loader = loader
        self._wrap = wrap

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._wrap(module)


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Any, _target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name not in WRAPPERS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Wrapping(spec.loader, WRAPPERS[name])
        return spec


with suppress(OSError):
    (FOLDER / "seen" / FUNCTION).touch()
sys.meta_path.insert(0, _Finder())
