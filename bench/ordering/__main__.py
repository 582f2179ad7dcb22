"""`python -m bench.ordering`: strictly ordered webhooks, unordered ones, and another beside them."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from bench import command
from bench.ordering import report
from bench.ordering.measure import Case, Result, Wanted, measure, warm_up
from bench.scene import scene


def main() -> int:
    arguments = _arguments()
    return command.run(arguments, partial(_measure_all, arguments), partial(report.show, _wanted(arguments)))


async def _measure_all(arguments: argparse.Namespace, stack_file: Path, console: Console) -> list[Result]:
    """All cases in turn, and then again the other way round."""
    wanted = _wanted(arguments)
    remember = 2 * (arguments.events * arguments.repeat + 1000)
    async with scene(stack_file, wanted.plans, remember=remember, hosts=len(wanted.plans)) as here:
        console.print("warming up …", highlight=False)
        await warm_up(here, wanted)
        results = []
        for number in range(arguments.repeat):
            for case in wanted.cases if number % 2 == 0 else wanted.cases[::-1]:
                console.print(f"{case.name}, run {number + 1} of {arguments.repeat} …", highlight=False)
                results.append(await measure(here, wanted, case))
    return results


def _wanted(arguments: argparse.Namespace) -> Wanted:
    cases: Sequence[Case] = [
        Case("nothing", "none", 0),
        *(Case.of(ordering, lines) for lines in (1, arguments.webhooks) for ordering in ("strict", "none")),
    ]
    return Wanted(
        cases, arguments.events, arguments.beside, arguments.endpoint_ms, arguments.size, arguments.patience
    )


def _arguments() -> argparse.Namespace:
    parser = command.parser(
        "ordering",
        "Send batches to one strictly ordered webhook, to as many as --webhooks at once, and to as many without"
        " ordering, while another webhook gets single events at a constant rate."
        " bench/ordering/README.md says how to read the figures.",
        repeat=3,
    )
    parser.add_argument("--events", type=int, default=2_000, help="of each case, over its webhooks (%(default)s)")
    parser.add_argument("--webhooks", type=int, default=20, help="at once (%(default)s)")
    parser.add_argument(
        "--beside", type=float, default=20, metavar="RATE", help="events/s to the other webhook (%(default)s)"
    )
    parser.add_argument(
        "--endpoint-ms", type=float, default=0, help="that every ordered or unordered endpoint takes (%(default)s)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
