"""Fixtures of the fault suite: one run, which its checks share."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.conftest import template
from tests.faults.reconcile import Books, report
from tests.faults.run import Options, Run
from tests.integration.conftest import service

__all__ = ["service", "template"]

# The run inside `make test`: enough events to come by every named point, and no waiting for what takes minutes.
SHORT = Options(seed=1, events=2_000, per_second=50, patience=0, rounds=1)
LONG_PER_SECOND = 120.0
LONG_PATIENCE_SECONDS = 180.0  # above what any fault but a lost dispatch and a clock ahead holds a delivery up for


def options() -> Options:
    """HOOKLINE_FAULTS_EVENTS makes a long run, HOOKLINE_FAULTS_SEED another one (`make faults`)."""
    seed = int(os.environ.get("HOOKLINE_FAULTS_SEED", SHORT.seed))
    events = os.environ.get("HOOKLINE_FAULTS_EVENTS")
    if events is None:
        return replace(SHORT, seed=seed)
    return Options(seed, int(events), LONG_PER_SECOND, LONG_PATIENCE_SECONDS, rounds=None)


@pytest.fixture(scope="session")
def books(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Books]:
    """What the run left, with its service still there."""
    wanted = options()
    run = Run(wanted, tmp_path_factory.mktemp("faults"), template)
    try:
        made = Books(run.go())
        print(f"\n{report(made)}", flush=True)
        yield made
    finally:
        run.stop()
