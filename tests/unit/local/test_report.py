"""`make report`: the answer of the API as tables."""

import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from local.report.tables import show
from tests.conftest import ROOT

DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text())
ANSWER = DOCUMENT["paths"]["/v1/admin/database"]["get"]["responses"]["200"]["content"]["application/json"][
    "example"
]


@pytest.fixture
def state() -> dict[str, Any]:
    """As the API documents its answer."""
    return deepcopy(ANSWER)


@pytest.fixture
def api() -> Iterator[str]:
    """A service that answers the documented example to its admin key, and 401 to others."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["authorization"] == "Bearer the-admin-key"
            self.send_response(200 if known and self.path == "/v1/admin/database" else 401)
            self.end_headers()
            self.wfile.write(json.dumps(ANSWER).encode())

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def shown(state: dict[str, Any]) -> str:
    output = io.StringIO()
    show(Console(file=output, width=140), state)
    return output.getvalue()


def run(stack: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local.report", "--stack", str(stack)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_what_is_wrong_comes_first_then_every_figure(state: dict[str, Any]) -> None:
    text = shown(state)
    lines = text.splitlines()
    assert lines[0].startswith("degraded · report of 2026-11-20T12:12:56Z, 42 s ago")
    assert lines[1] == "  warning partitions_missing: audit_log has partitions for 5.1 days to come"
    for figure in ("webhook_deliveries", "73.4 MB", "12 %", "98.2", "312, 12 of them held", "SELECT pg_sleep($1)"):
        assert figure in text
    assert "maintain.partitions" in text


def test_what_could_not_be_read_is_left_out(state: dict[str, Any]) -> None:
    parts = dict.fromkeys(state["report"])
    state["report"] = {**parts, "unavailable": {"tables": "timeout"}, "measures": {}}
    assert "webhook_deliveries" not in shown(state)


def test_before_the_first_report_it_says_so(state: dict[str, Any]) -> None:
    state |= {"made_at": None, "age_seconds": None, "report": None}
    assert shown(state).splitlines()[0] == "degraded · report not made yet"


def test_markup_in_a_message_is_text(state: dict[str, Any]) -> None:
    state["problems"][0]["message"] = "maintain.retention failed: [red]no disk[/]"
    assert "[red]no disk[/]" in shown(state)


def test_the_service_that_runs_here_is_asked(api: str, tmp_path: Path) -> None:
    stack = tmp_path / "stack.json"
    stack.write_text(json.dumps({"api_url": api, "admin_key": "the-admin-key"}))
    done = run(stack)
    assert (done.returncode, done.stderr) == (0, "")
    assert "partitions_missing" in done.stdout


def test_the_environment_names_a_service_elsewhere(api: str, tmp_path: Path) -> None:
    nowhere = tmp_path / "none.json"
    assert run(nowhere, HOOKLINE_URL=api, HOOKLINE_ADMIN_KEY="the-admin-key").returncode == 0
    refused = run(nowhere, HOOKLINE_URL=api, HOOKLINE_ADMIN_KEY="another")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "401" in refused.stderr


def test_without_a_service_it_says_how_to_start_one(tmp_path: Path) -> None:
    done = run(tmp_path / "none.json")
    assert done.returncode == 1
    assert "make run" in done.stderr
