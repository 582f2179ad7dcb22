"""`python -m bench.cold_start`: what a function's first invocation waits for, by import and by function."""

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.table import Table

from bench.cold_start import imports, invocations
from bench.cold_start.functions import Function, functions
from bench.cold_start.imports import ROOT, Import
from bench.cold_start.invocations import Invocation, InvocationError
from bench.figures import terminal
from bench.machine import machine
from bench.service import service
from local.demo.stack import StackError

PACKAGES_SHOWN = 14
NOT_MEASURED = "–"  # noqa: RUF001 - a dash, as tables have it
Imports = dict[str, Import]
Invocations = dict[str, Invocation | None]


def main() -> int:
    """Returns 0, or 1 if something could not be measured."""
    arguments = _arguments()
    console = terminal()
    about = machine()
    console.print(str(about), soft_wrap=True, highlight=False)
    try:
        known = functions(arguments.template)
        imported = {one.short_name: imports.measure(one, repeat=arguments.repeat) for one in known}
        invoked = {} if arguments.imports_only else _invoke(known, arguments.repeat)
    except subprocess.CalledProcessError as error:
        print(f"bench: {error}\n{error.stderr}", file=sys.stderr)
        return 1
    except (InvocationError, StackError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    console.print(by_function(imported, invoked), by_package(imported))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(_figures(asdict(about), imported, invoked), indent=2) + "\n")
    return 0


def by_function(imported: Imports, invoked: Invocations) -> Table:
    table = Table("function", title="by function", box=box.SIMPLE, title_justify="left")
    for heading in ("import ms", "modules", "peak MB", "cold invocation ms", "warm ms"):
        table.add_column(heading, justify="right")
    for name, one in imported.items():
        times = invoked.get(name)
        both = (f"{times.cold:.0f}", f"{times.warm:.1f}") if times else (NOT_MEASURED, NOT_MEASURED)
        table.add_row(name, f"{one.ms:.0f}", str(one.modules), f"{one.peak_mb:.0f}", *both)
    return table


def by_package(imported: Imports) -> Table:
    """The packages that take most, each one's own time, without what it imports in its turn."""
    table = Table("package", title="import ms by package, traced", box=box.SIMPLE, title_justify="left")
    for name in imported:
        table.add_column(name, justify="right")
    packages = {package for one in imported.values() for package in one.packages_ms}
    most = sorted(packages, key=lambda package: -max(one.packages_ms.get(package, 0) for one in imported.values()))
    for package in most[:PACKAGES_SHOWN]:
        times = [one.packages_ms.get(package) for one in imported.values()]
        table.add_row(package, *("" if time is None else f"{time:.0f}" for time in times))
    return table


def _invoke(known: list[Function], repeat: int) -> Invocations:
    with service(None) as stack_file:
        return {one.short_name: invocations.measure(one, stack_file, repeat=repeat) for one in known}


def _figures(about: dict[str, object], imported: Imports, invoked: Invocations) -> dict[str, object]:
    return {
        "machine": about,
        "imports": {name: asdict(one) for name, one in imported.items()},
        "invocations": {name: asdict(one) for name, one in invoked.items() if one is not None},
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.cold_start",
        description="Time the imports of each function's handler in fresh interpreters, and the first invocation"
        " of a new process against one after it, in a service of its own. Medians.",
    )
    parser.add_argument(
        "--template",
        type=Path,
        default=ROOT / "cdk.out" / "hookline-dev.template.json",
        help="the synthesized template (%(default)s)",
    )
    parser.add_argument("--repeat", type=int, default=5, help="measurements for each median (%(default)s)")
    parser.add_argument("--imports-only", action="store_true", help="start no service, invoke nothing")
    parser.add_argument("--json", type=Path, help="write all figures to this file as well")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
