"""schemathesis with all its checks and phases, through gateway and authorizer. `make contract` takes longer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.service import Service as Running

HERE = Path(__file__).parent
SECONDS = int(os.environ.get("HOOKLINE_FUZZ_SECONDS", "25"))


@pytest.mark.timeout(SECONDS + 150)  # what is under way when the time is over is ended first
def test_the_running_service_keeps_to_its_document(running: Running) -> None:
    tool = Path(sys.executable).parent / "schemathesis"
    done = subprocess.run(
        [
            *(tool, "--config-file", HERE / "schemathesis.toml", "run", f"{running['api_url']}/openapi.json"),
            *("--checks", "all", "--max-time", str(SECONDS), "--workers", "2", "--no-color"),
        ],
        cwd=running.state_dir,  # where it may leave what it likes
        env={**os.environ, "HOOKLINE_KEY": running["api_key"], "HOOKLINE_ADMIN_KEY": running["admin_key"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS + 120,
    )
    (running.state_dir / "schemathesis.txt").write_text(done.stdout)
    _, _, found = done.stdout.partition("= FAILURES =")
    print(done.stdout[-1_500:])
    assert done.returncode == 0, (found or done.stdout)[:20_000] + done.stderr[-2_000:]
