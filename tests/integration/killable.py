"""Maintenance jobs in a process of their own, which a test may kill."""

import json
import os
from typing import Any

from functions.maintain.handler import JOBS
from functions.maintain.run import Run


def run_jobs(environment: dict[str, str], jobs: list[dict[str, Any]], now: Any, answers: Any) -> None:
    """Run these jobs one after the other, and send what they answer."""
    os.environ.update(environment)
    found = [JOBS[job["job"]](Run(now=now, parameters=job)) for job in jobs]
    answers.send(json.dumps(found))
