"""`python -m bench.delivery`: drive the running service and print what it does, how fast, and at what cost."""

import argparse
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

from rich.console import Console

from bench import command, load
from bench.connections import Connections
from bench.delivery import report
from bench.delivery.measure import Result, Scenario, measure
from bench.load import flat_out, open_loop
from bench.scene import Plan, scene

WARM_UP_SECONDS = 3.0
WARM_UP_SHARE = 0.1  # of the events of flat out


def main() -> int:
    arguments = _arguments()
    return command.run(arguments, partial(_measure_all, arguments), partial(report.show, fanout=arguments.fanout))


async def _measure_all(arguments: argparse.Namespace, stack_file: Path, console: Console) -> list[Result]:
    results = []
    plans = [Plan(f"bench-{number}") for number in range(arguments.fanout)]
    async with scene(stack_file, plans, remember=_most_events(arguments)) as here:
        with closing(Connections(here.api)) as connections:
            for scenario in _scenarios(arguments, connections):
                for number in range(arguments.repeat):
                    console.print(f"{scenario.name}, run {number + 1} of {arguments.repeat} …", highlight=False)
                    results.append(await measure(here, scenario, patience_seconds=arguments.patience))
    return results


def _most_events(arguments: argparse.Namespace) -> int:
    """Of one scenario with its warm-up, generously."""
    by_rate = (rate * (arguments.seconds + WARM_UP_SECONDS) for rate in arguments.rates)
    return 2 * int(max((arguments.events + arguments.batch, *by_rate)))


def _scenarios(arguments: argparse.Namespace, connections: Connections) -> list[Scenario]:
    scenarios = []
    for rate in arguments.rates:
        at_rate = partial(open_loop, connections, rate=rate, bodies=[load.single(arguments.size)])
        name = f"{rate:g} events/s"
        scenarios.append(
            Scenario(name, partial(at_rate, seconds=arguments.seconds), partial(at_rate, seconds=WARM_UP_SECONDS))
        )
    if arguments.events:
        flat = partial(flat_out, connections, senders=arguments.senders)
        bodies = partial(load.batches, batch=arguments.batch, size=arguments.size)
        warm_up = max(int(arguments.events * WARM_UP_SHARE), arguments.batch)
        scenarios.append(
            Scenario(
                "flat out", partial(flat, bodies=bodies(arguments.events)), partial(flat, bodies=bodies(warm_up))
            )
        )
    return scenarios


def _arguments() -> argparse.Namespace:
    parser = command.parser(
        "delivery",
        "Measure the service on this machine: single events at constant rates, then batches as fast as they are"
        f" taken. Each is preceded by a warm-up that counts for nothing ({WARM_UP_SECONDS:g} s at the rate, or"
        f" {WARM_UP_SHARE:.0%} of the events). bench/README.md says how to read the figures.",
        repeat=1,
    )
    parser.add_argument(
        "--rates", type=float, nargs="*", default=[50, 200], metavar="RATE", help="events/s (%(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=20, help="how long at each rate (%(default)s)")
    parser.add_argument("--events", type=int, default=10_000, help="of flat out; 0 leaves it out (%(default)s)")
    parser.add_argument("--batch", type=int, default=500, help="events a request of flat out (%(default)s)")
    parser.add_argument("--senders", type=int, default=2, help="requests of flat out at a time (%(default)s)")
    parser.add_argument("--fanout", type=int, default=3, help="webhooks an event goes to (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
