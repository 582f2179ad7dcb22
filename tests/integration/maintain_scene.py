"""Maintenance jobs at another time than now."""

from datetime import UTC, datetime, timedelta
from typing import Any

from functions.maintain.handler import JOBS
from functions.maintain.run import Run


def run_job(job: str, *, days: float = 0, seconds: float = 60, **parameters: Any) -> dict[str, Any]:
    """What the job answers so many days from now, with so many seconds to begin batches in."""
    at = datetime.now(UTC) + timedelta(days=days)
    return JOBS[job](Run(now=at, seconds=seconds, parameters=parameters))
