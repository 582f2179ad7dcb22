"""The machine the figures are from."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Machine:
    """`load` is the load average over a minute: what else ran."""

    cores: int
    processor: str
    memory_gb: float
    system: str
    python: str
    load: float

    def __str__(self) -> str:
        return (
            f"{self.cores} cores of {self.processor}, {self.memory_gb:.0f} GB, {self.system},"
            f" Python {self.python}, load average {self.load:.1f} before"
        )


def machine() -> Machine:
    """This one, now."""
    return Machine(
        cores=len(psutil.Process().cpu_affinity() or ()) if psutil.LINUX else os.cpu_count() or 0,
        processor=_processor(),
        memory_gb=psutil.virtual_memory().total / 1e9,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        load=psutil.getloadavg()[0],
    )


def _processor() -> str:
    """Linux tells it nowhere but here."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
