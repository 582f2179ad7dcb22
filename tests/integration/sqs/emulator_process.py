"""The emulator as a process of its own, for tests."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import boto3
from botocore.config import Config
from mypy_boto3_sqs import SQSClient

ROOT = Path(__file__).parents[3]
REGION = "eu-central-1"
ACCOUNT = "000000000000"


def client_of(endpoint: str | None) -> SQSClient:
    """A boto3 client that does not retry, so that a test sees what the server answered."""
    credentials = {} if endpoint is None else {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    config = Config(retries={"total_max_attempts": 1}, read_timeout=30)
    return boto3.client("sqs", endpoint_url=endpoint, region_name=REGION, config=config, **credentials)


class EmulatorProcess:
    """Started on a free port by `with`, or by `start`; never outlives the test process."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._process: subprocess.Popen[str] | None = None

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None, "not started"
        return self._process

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *arguments: str) -> Self:
        command = [sys.executable, "-m", "local.sqs", "--port", "0", "--data", str(self.data), *arguments]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port: int = json.loads(self._process.stdout.readline())["port"]
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """The exit code after that signal."""
        os.kill(self.process.pid, how)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(timeout=10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        if self.process.poll() is None:
            self.stop(signal.SIGKILL)
