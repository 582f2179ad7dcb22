"""The service to measure: one that runs already, or one of our own for as long as the measuring takes."""

import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.demo import stack
from local.demo.stack import Stack, StackError
from local.lifelines import die_with_parent

ROOT = Path(__file__).resolve().parents[1]
READY_SECONDS = 120.0
STOP_SECONDS = 60.0
TAIL_LINES = 30


@contextmanager
def service(stack_file: Path | None, *, template: Path | None = None) -> Iterator[Path]:
    """Yields the stack.json of a service that is ready: the one that is named, or one of another template.

    Raises StackError, with its last words if it has any.
    """
    if stack_file is not None:
        stack.read(stack_file)
        yield stack_file
        return
    with tempfile.TemporaryDirectory(prefix="hookline-bench-") as folder:
        state, output = Path(folder) / "state", Path(folder) / "output.log"
        with output.open("wb") as sink, _started(state, sink.fileno(), template) as process:
            try:
                _wait(process, state / "stack.json")
            except StackError as error:
                raise StackError(f"{error}\n{_tail(output)}") from None
            yield state / "stack.json"


async def read(stack_file: Path) -> Stack:
    """What stack.json says now: its processes come and go. Raises StackError."""
    return await asyncio.to_thread(stack.read, stack_file)


@contextmanager
def _started(state: Path, output: int, template: Path | None) -> Iterator[subprocess.Popen[bytes]]:
    chosen = [] if template is None else ["--template", str(template)]
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "--state-dir", str(state), "--port", "0", *chosen],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,  # Ctrl-C is for this process, which ends it afterwards
        preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - it takes no locks, see there
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], stack_file: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not stack_file.exists():
        if process.poll() is not None:
            raise StackError(f"the service ended with status {process.returncode} before it was ready")
        if time.monotonic() > deadline:
            raise StackError(f"the service was not ready within {READY_SECONDS:.0f} s")
        time.sleep(0.05)


def _tail(output: Path) -> str:
    return "\n".join(output.read_text(errors="replace").splitlines()[-TAIL_LINES:])
