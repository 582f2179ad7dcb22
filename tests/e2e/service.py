"""The real local runtime in a process of its own, with all that runs in it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import requests

ROOT = Path(__file__).parents[2]
START_SECONDS = 120
STOP_SECONDS = 60

# Whoever runs the tests may have these set; the runtime under test is to have its own.
FOREIGN = ("WEBHOOK_DATABASE_URL", "DATABASE_URL", "SEARCH_BRIDGE_DATABASE_URL")


class Service:
    """`service["api_url"]` and the rest of stack.json, once started."""

    def __init__(
        self, state_dir: Path, template: Path, *, root: Path = ROOT, prefix: tuple[str, ...] = ()
    ) -> None:
        """`root` is the checkout to run in; `prefix` goes before the command."""
        self.state_dir = state_dir
        self._command = [
            *(*prefix, sys.executable, "-m", "local", "--state-dir", str(state_dir), "--port", "0"),
            *("--template", str(template)),
        ]
        self._root = root
        self.process: subprocess.Popen[bytes] | None = None

    def __getitem__(self, name: str) -> Any:
        return self.stack()[name]

    def stack(self) -> dict[str, Any]:
        """What stack.json says now."""
        stack: dict[str, Any] = json.loads((self.state_dir / "stack.json").read_text())
        return stack

    @property
    def output(self) -> str:
        """What the terminal showed since the last start."""
        return (self.state_dir / "terminal.txt").read_text()

    def start(self, **environment: str) -> None:
        """Start and wait until it says that it is ready."""
        self.spawn(**environment)
        self.wait_until((self.state_dir / "stack.json").exists, START_SECONDS)

    def spawn(self, **environment: str) -> None:
        self.state_dir.mkdir(parents=True, exist_ok=True)
        (self.state_dir / "stack.json").unlink(missing_ok=True)
        inherited = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        with (self.state_dir / "terminal.txt").open("wb") as terminal:
            self.process = subprocess.Popen(
                self._command,
                cwd=self._root,
                env={**inherited, "HOOKLINE_PORT": "0", **environment},
                stdin=subprocess.DEVNULL,
                stdout=terminal,
                stderr=terminal,
                start_new_session=True,
            )

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int | None:
        """End it the way a terminal or an operator would; returns the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
            self.process = None

    def kill(self) -> None:
        """End it as a power failure would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def wait_until(self, condition: Callable[[], Any], seconds: float = 60) -> None:
        """Fails with the terminal's last lines when the service ends or the time is over first."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process is not None
            assert self.process.poll() is None, f"the service ended:\n{self.output[-3000:]}"
            assert time.monotonic() < deadline, f"not within {seconds} s:\n{self.output[-3000:]}"
            time.sleep(0.05)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """One API call with the API key of the project that the runtime made."""
        stack = self.stack()
        headers = {"Authorization": f"Bearer {stack['api_key']}", **options.pop("headers", {})}
        return requests.request(method, stack["api_url"] + path, headers=headers, timeout=30, **options)

    def pids(self) -> set[int]:
        """Every process of the service, children of children too."""
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        return {parent.pid, *(child.pid for child in parent.children(recursive=True))}


def alive(pids: set[int]) -> set[int]:
    """Those that still run; a zombie does not."""
    return {pid for pid in pids if _runs(pid)}


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def processes(stack: Mapping[str, Any], name: str) -> list[int]:
    """The pids that stack.json has under this name."""
    pids: list[int] = stack["processes"][name]
    return pids
