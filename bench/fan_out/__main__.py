"""`python -m bench.fan_out`: one event to 10,000 webhooks, beside as many deliveries of batches."""

import argparse
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

from rich.console import Console

from bench import command
from bench.connections import Connections
from bench.fan_out import report
from bench.fan_out.measure import BATCHES, EVERYWHERE, FAN_OUT, Result, batches, everywhere, measure
from bench.scene import Plan, scene


def main() -> int:
    arguments = _arguments()
    return command.run(
        arguments, partial(_measure_all, arguments), partial(report.show, webhooks=arguments.webhooks)
    )


async def _measure_all(arguments: argparse.Namespace, stack_file: Path, console: Console) -> list[Result]:
    plans = [
        *(Plan(f"fan-out-{number}", [EVERYWHERE]) for number in range(arguments.webhooks)),
        *(Plan(f"batch-{number}", [BATCHES]) for number in range(arguments.fanout)),
    ]
    events = round(arguments.webhooks / arguments.fanout)
    console.print(f"making {len(plans):,} webhooks …", highlight=False)
    own_service = arguments.stack is None  # it ends anyway, and deleting so many webhooks takes minutes
    async with scene(stack_file, plans, remember=2 * events, hosts=arguments.hosts, tidy=not own_service) as here:
        with closing(Connections(here.api)) as connections:
            loads = {
                FAN_OUT: partial(everywhere, connections, arguments.size),
                "batches": partial(batches, connections, events, arguments.batch, arguments.size),
            }
            for name, send in loads.items():
                console.print(f"{name}, warming up …", highlight=False)
                await measure(here, name, send, patience_seconds=arguments.patience)
            results = []
            for number in range(arguments.repeat):
                for name, send in loads.items():
                    console.print(f"{name}, run {number + 1} of {arguments.repeat} …", highlight=False)
                    results.append(await measure(here, name, send, patience_seconds=arguments.patience))
    return results


def _arguments() -> argparse.Namespace:
    parser = command.parser(
        "fan_out",
        "Send one event that goes to very many webhooks, and beside it batches of events to a few webhooks that"
        " make as many deliveries. bench/fan_out/README.md says how to read the figures.",
        repeat=5,
    )
    parser.add_argument("--webhooks", type=int, default=10_000, help="the event goes to (%(default)s)")
    parser.add_argument("--hosts", type=int, default=100, help="that these are at (%(default)s)")
    parser.add_argument("--fanout", type=int, default=3, help="webhooks an event of a batch goes to (%(default)s)")
    parser.add_argument("--batch", type=int, default=500, help="events a request (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
