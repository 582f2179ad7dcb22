"""`make report`: reads `GET /v1/admin/database` and prints it."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import requests
from rich.console import Console

from local.processes import ROOT
from local.report.tables import show

WITHOUT_TERMINAL = 140  # columns
SECONDS = 30  # as long as the API may take for an answer


def main() -> int:
    """Returns the exit status: 0 when there was a report to show, whatever it says."""
    arguments = _arguments()
    try:
        state = _read(*_service(arguments.stack))
    except (OSError, requests.RequestException, ValueError) as error:
        print(f"no report: {error}", file=sys.stderr)
        return 1
    show(Console(width=None if sys.stdout.isatty() else WITHOUT_TERMINAL), state)
    return 0


def _service(stack: Path) -> tuple[str, str]:
    """The URL and the admin key: of the environment where both are, else of the service that runs here.

    Raises FileNotFoundError when none does.
    """
    url, key = os.environ.get("HOOKLINE_URL"), os.environ.get("HOOKLINE_ADMIN_KEY")
    if url and key:
        return url, key
    if not stack.exists():
        raise FileNotFoundError("nothing runs here: start it with `make run`, or set HOOKLINE_URL and _ADMIN_KEY")
    facts = json.loads(stack.read_text())
    return str(facts["api_url"]), str(facts["admin_key"])


def _read(url: str, key: str) -> dict[str, Any]:
    """Raises requests.RequestException when the service does not answer, or not with a report."""
    headers = {"Authorization": f"Bearer {key}"}
    answer = requests.get(f"{url}/v1/admin/database", headers=headers, timeout=SECONDS)
    answer.raise_for_status()
    state: dict[str, Any] = answer.json()
    return state


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.report",
        description="How the database is doing. HOOKLINE_URL and HOOKLINE_ADMIN_KEY name a service elsewhere.",
    )
    default = ROOT / ".local" / "stack.json"
    parser.add_argument("--stack", type=Path, default=default, help="the service's stack.json (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
