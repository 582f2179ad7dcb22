"""What importing a handler takes, in fresh interpreters, and which packages it goes to."""

import re
import statistics
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.cold_start.functions import Function

ROOT = Path(__file__).resolve().parents[2]
STANDARD_LIBRARY = "standard library"
LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s*(\S+)")  # of -X importtime: self µs, cumulative µs, module
# Printed by the interpreter itself, so that its own start does not count.
TIMED = """
import resource, sys, time
before, began = len(sys.modules), time.perf_counter()
import {module}
print(time.perf_counter() - began, len(sys.modules) - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@dataclass(frozen=True)
class Import:
    """Medians. `ms` without the overhead of tracing; `packages_ms`, each package's own time, with it."""

    ms: float
    modules: int
    peak_mb: float
    packages_ms: dict[str, float]


def measure(function: Function, *, repeat: int) -> Import:
    """`repeat` interpreters for each figure, after one that counts for nothing: it compiles what has changed.

    Raises subprocess.CalledProcessError if the handler cannot be imported.
    """
    _run(function, "-c", f"import {function.module}")
    timed = [_timed(function) for _ in range(repeat)]
    traced = [_traced(function) for _ in range(repeat)]
    packages = {package for one in traced for package in one}
    return Import(
        ms=statistics.median(one[0] for one in timed) * 1000,
        modules=int(timed[0][1]),
        peak_mb=statistics.median(one[2] for one in timed) * _maxrss_bytes() / 1e6,
        packages_ms={
            package: statistics.median(one[package] for one in traced) / 1000 for package in sorted(packages)
        },
    )


def _timed(function: Function) -> list[float]:
    done = _run(function, "-c", TIMED.format(module=function.module))
    return [float(figure) for figure in done.stdout.split()]


def _traced(function: Function) -> Counter[str]:
    """µs by package."""
    own: Counter[str] = Counter()
    done = _run(function, "-X", "importtime", "-c", f"import {function.module}")
    for found in LINE.finditer(done.stderr):
        own[package_of(found[2])] += int(found[1])
    return own


def package_of(module: str) -> str:
    top = module.partition(".")[0]
    return STANDARD_LIBRARY if top in sys.stdlib_module_names else top


def _run(function: Function, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=function.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def _maxrss_bytes() -> int:
    """getrusage(2) counts kilobytes on Linux, bytes on macOS."""
    return 1 if sys.platform == "darwin" else 1024
