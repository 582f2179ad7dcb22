"""`python -m bench.neighbours`: the same load with and without endpoints that hang or fail."""

import argparse
import asyncio
import sys
from functools import partial
from pathlib import Path

from rich.console import Console

from bench import command
from bench.neighbours import report
from bench.neighbours.phase import NOISY, QUIET, Phase, Wanted, run_phase


def main() -> int:
    arguments = _arguments()
    return command.run(arguments, partial(_measure_all, arguments), partial(report.show, _wanted(arguments)))


async def _measure_all(arguments: argparse.Namespace, stack_file: Path, console: Console) -> list[Phase]:
    """Quiet and noisy, then noisy and quiet: what one leaves behind, and what else the machine does, hits both."""
    phases: list[Phase] = []
    for number in range(arguments.repeat):
        for name in (QUIET, NOISY) if number % 2 == 0 else (NOISY, QUIET):
            if phases:
                await asyncio.sleep(arguments.pause)
            console.print(f"{name}, run {number + 1} of {arguments.repeat} …", highlight=False)
            phases.append(await run_phase(stack_file, name, _wanted(arguments)))
    return phases


def _wanted(arguments: argparse.Namespace) -> Wanted:
    names = Wanted.__dataclass_fields__
    return Wanted(**{name: value for name, value in vars(arguments).items() if name in names})


def _arguments() -> argparse.Namespace:
    parser = command.parser(
        "neighbours",
        "Send events at a constant rate to webhooks of which some hang until their timeout and some answer 500,"
        " and the same with all of them well, in turn. bench/neighbours/README.md says how to read the figures.",
        repeat=2,
    )
    parser.add_argument("--webhooks", type=int, default=100, help="in all (%(default)s)")
    parser.add_argument("--hanging", type=int, default=10, help="of them hang (%(default)s)")
    parser.add_argument("--failing", type=int, default=10, help="of them answer 500 (%(default)s)")
    parser.add_argument(
        "--rate", type=float, default=200, help="events/s; with --to-all, deliveries/s (%(default)s)"
    )
    parser.add_argument(
        "--to-all",
        action="store_true",
        help="every event goes to all webhooks, instead of each to one in turn; as many deliveries/s",
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long (%(default)s)")
    parser.add_argument("--timeout", type=int, default=15, help="of the webhooks, in seconds (%(default)s)")
    parser.add_argument("--window", type=float, default=5, help="seconds a line of the trace (%(default)s)")
    parser.add_argument(
        "--pause",
        type=float,
        default=20,
        help="seconds between two runs, for requests that hang to end (%(default)s)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
