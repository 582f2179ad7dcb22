import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.integration.sqs.emulator_process import ROOT, EmulatorProcess, client_of
from tests.integration.sqs.targets import make_queue

# Starts an emulator as its own child, tells both pids, and waits to be killed.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-m", "local.sqs", "--data", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local.sqs", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)


def test_it_explains_itself() -> None:
    helped = run("--help")
    assert helped.returncode == 0
    assert {"--port", "--data", "--account", "--region"} <= set(helped.stdout.replace(",", " ").split())


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_and_sends_waiting_receivers_home(process: EmulatorProcess, how: signal.Signals) -> None:
    queue = make_queue(client_of(process.endpoint), {})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.receive, wait=20)
        time.sleep(0.3)
        assert process.stop(how) == 0  # which waits for less than the receiver would
        assert waiting.result(timeout=5) == []


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "queues.db")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            child = psutil.Process(int(parent.stdout.readline()))
        finally:
            parent.kill()
    _, alive = psutil.wait_procs([child], timeout=10)
    for stray in alive:
        stray.kill()
    assert alive == []


def test_it_does_not_start_under_another_parent(tmp_path: Path) -> None:
    refused = run("--data", str(tmp_path / "queues.db"), "--parent-pid", str(os.getppid()))
    assert refused.returncode == 1
    assert "parent" in refused.stderr


def test_it_listens_on_loopback_only(emulator: EmulatorProcess) -> None:
    listening = psutil.Process(emulator.process.pid).net_connections(kind="all")
    assert [(c.laddr.ip, c.laddr.port) for c in listening if c.status == psutil.CONN_LISTEN] == [
        ("127.0.0.1", emulator.port)
    ]


def test_a_port_that_is_taken_is_named(emulator: EmulatorProcess, tmp_path: Path) -> None:
    refused = run("--data", str(tmp_path / "queues.db"), "--port", str(emulator.port))
    assert refused.returncode == 1
    assert "in use" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_account_and_region_show_in_arns_and_urls(tmp_path: Path) -> None:
    process = EmulatorProcess(tmp_path / "queues.db")
    process.start("--account", "123456789012", "--region", "us-west-2")
    try:
        queue = make_queue(client_of(process.endpoint), {})
    finally:
        process.stop()
    assert queue.arn == f"arn:aws:sqs:us-west-2:123456789012:{queue.name}"
    assert queue.url == f"{process.endpoint}/123456789012/{queue.name}"
