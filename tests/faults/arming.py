"""The suite's end of the named points in the functions' processes (points/sitecustomize.py)."""

import json
import os
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent

# What each point is, in the words of the report. The name's first part is the function that dies there.
POINTS = {
    "api.accept-uncommitted": "accepted, before the commit",
    "api.accept-committed": "accepted, after the commit, before the message",
    "api.sent": "accepted, after the message, before the answer",
    "deliver.invoked": "messages received, before the claim",
    "deliver.claim-uncommitted": "claimed, before the commit",
    "deliver.claim-committed": "claimed, before any request",
    "deliver.answered": "an endpoint answered, before the record",
    "deliver.record-uncommitted": "in the record, before its commit",
    "deliver.record-committed": "recorded, before what follows of it is sent",
    "deliver.unsent": "recorded, before a retry's or a dead letter's message",
    "deliver.sent": "after that message",
    "deliver.done": "all recorded, before the messages are acknowledged",
    "deliver.letter-uncommitted": "a dead letter's message met, before the commit",
    "deliver.letter-committed": "a dead letter's message met, after the commit",
    "dispatch.invoked": "dispatch woken",
    "dispatch.deliveries-uncommitted": "dispatch took what is due, before the commit",
    "dispatch.deliveries-committed": "dispatch took what is due, before its messages",
    "dispatch.sent": "dispatch, between its messages",
    "jobs.job-uncommitted": "a job's batch, before the commit",
    "jobs.job-committed": "a job's batch, before its messages",
    "jobs.sent": "a job's batch, after its messages, before they are acknowledged",
}
BY_LEVER = frozenset(point for point in POINTS if point.startswith("jobs."))  # nothing reaches them by itself


class Points:
    """Arms points by files that the functions' processes look for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("armed", "fired", "seen"):
            (folder / name).mkdir(parents=True)

    def template(self, synthesized: Path, to: Path, **environment: str) -> Path:
        """A copy of the template whose functions load the points and have this environment besides.

        `deliver` gets a time limit of DELIVER_SECONDS: what it held when it died is free again that much sooner.
        """
        template = json.loads(synthesized.read_text())
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Lambda::Function":
                properties = resource["Properties"]
                variables = properties.setdefault("Environment", {}).setdefault("Variables", {})
                variables |= {
                    "PYTHONPATH": str(HERE / "points"),
                    "HOOKLINE_FAULT_POINTS": str(self.folder),
                    **environment,
                }
                if properties.get("FunctionName", "").endswith("-deliver"):
                    properties["Timeout"] = DELIVER_SECONDS
        to.write_text(json.dumps(template))
        return to

    def arm(self, point: str) -> None:
        (self.folder / "armed" / point).touch()

    def disarm(self, point: str) -> bool:
        """Whether it was still armed."""
        try:
            (self.folder / "armed" / point).unlink()
        except FileNotFoundError:
            return False
        return True

    def wait_for(self, point: str, seconds: float) -> bool:
        """Whether it fired within this time; if not it is armed no more."""
        deadline = time.monotonic() + seconds
        while (self.folder / "armed" / point).exists():
            if time.monotonic() > deadline:
                return not self.disarm(point)
            time.sleep(0.02)
        return True

    def fired(self) -> Counter[str]:
        """How often each point ended a process."""
        return Counter(name.rsplit(".", 2)[0] for name in os.listdir(self.folder / "fired"))  # noqa: PTH208


DELIVER_SECONDS = 15
