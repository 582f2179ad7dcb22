"""What the benchmarks of a running service have in common as commands."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from rich.console import Console

from bench import figures
from bench.machine import machine
from bench.service import service
from local.demo.api import ApiError
from local.demo.stack import StackError
from local.receiver.client import ReceiverError

# A delivery whose message was lost is sent again after 90 s, by a dispatch that looks once a minute.
PATIENCE_SECONDS = 240.0
EXPECTED = (ApiError, ReceiverError, StackError, aiohttp.ClientError, TimeoutError, OSError)

T = TypeVar("T")


def parser(name: str, description: str, *, repeat: int) -> argparse.ArgumentParser:
    """With the options that all have."""
    made = argparse.ArgumentParser(
        prog=f"python -m bench.{name}",
        description=f"{description} Starts a service of its own in a temporary folder unless --stack names one."
        " Prints medians of all runs.",
    )
    made.add_argument("--stack", type=Path, help="stack.json of a running service to measure")
    made.add_argument("--repeat", type=int, default=repeat, help="runs of each, for medians (%(default)s)")
    made.add_argument(
        "--bytes", type=int, default=500, dest="size", metavar="BYTES", help="of an event's data (%(default)s)"
    )
    made.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_SECONDS,
        help="seconds without any arrival to wait (%(default)s)",
    )
    made.add_argument("--json", type=Path, help="write the figures of every run to this file as well")
    return made


def run(
    arguments: argparse.Namespace,
    measure: Callable[[Path, Console], Awaitable[Sequence[T]]],
    report: Callable[[Console, Sequence[T]], bool],
) -> int:
    """Measure the service and report; the results are dataclasses, one for each run.

    Returns 0 if `report` said that nothing was lost, 1 if something was or nothing could be measured, 130 after
    Ctrl-C.
    """
    console = figures.terminal()
    about = machine()
    console.print(str(about), soft_wrap=True, highlight=False)
    try:
        with service(arguments.stack) as stack_file:
            results = asyncio.run(_awaited(measure(stack_file, console)))
    except EXPECTED as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    flawless = report(console, results)
    if arguments.json is not None:
        figures.save(arguments.json, about, vars(arguments), results)
    return 0 if flawless else 1


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result
