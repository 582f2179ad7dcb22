"""stack.json: where everything is and how to get in. It is there only while that is true."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local.files import write_private


class StackFile:
    """Written when the stack is ready (0600: it has keys in it), and again when processes come or go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._facts: dict[str, Any] = {}
        self._processes: Mapping[str, Sequence[int]] = {}
        self.remove()

    def write(self, facts: Mapping[str, Any], processes: Mapping[str, Sequence[int]]) -> None:
        self._facts = dict(facts)
        self.update(processes)

    def update(self, processes: Mapping[str, Sequence[int]]) -> None:
        """Note which processes there are now, if that changed."""
        if processes != self._processes:
            self._processes = processes
            write_private(self.path, json.dumps({**self._facts, "processes": processes}, indent=2))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
