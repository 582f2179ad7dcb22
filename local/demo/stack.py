"""The running service, as its stack.json describes it."""

import json
from dataclasses import dataclass, field
from pathlib import Path


class StackError(RuntimeError):
    """The service does not run, or its stack.json is not one."""


@dataclass(frozen=True)
class Stack:
    """URLs without a trailing slash. `processes` has the process ids by the name of what they do."""

    api_url: str
    admin_key: str
    project_id: str
    api_key: str
    lambda_url: str = ""
    receiver_url: str | None = None
    processes: dict[str, list[int]] = field(default_factory=dict)


def read(path: Path) -> Stack:
    """Raises StackError with a sentence for whoever started the command."""
    try:
        facts = json.loads(path.read_text())
        return Stack(**{name: facts[name] for name in Stack.__dataclass_fields__ if name in facts})
    except FileNotFoundError:
        raise StackError(f"{path} is not there: is the service running? `make run` starts it") from None
    except (OSError, TypeError, ValueError) as error:
        raise StackError(f"{path} cannot be read: {error}") from None
