"""`python -m bench.delivery`: drive the running service and print what it does, how fast, and at what cost."""

import argparse
import asyncio
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import aiohttp
from rich.console import Console

from bench.delivery import report
from bench.delivery.connections import Connections
from bench.delivery.load import flat_out, open_loop
from bench.delivery.measure import Result, Scenario, measure
from bench.delivery.scene import scene
from bench.machine import machine
from bench.service import service
from local.demo.api import ApiError
from local.demo.stack import StackError
from local.receiver.client import ReceiverError

WARM_UP_SECONDS = 3.0
# A delivery whose message was lost is sent again after 90 s, by a dispatch that looks once a minute.
PATIENCE_SECONDS = 240.0
WARM_UP_SHARE = 0.1  # of the events of flat out
EXPECTED = (ApiError, ReceiverError, StackError, aiohttp.ClientError, TimeoutError, OSError)


def main() -> int:
    """Returns 0 if nothing was lost, 1 if something was or nothing could be measured, 130 after Ctrl-C."""
    arguments = _arguments()
    console = Console(width=None if sys.stdout.isatty() else 100)
    about = machine()
    console.print(str(about), soft_wrap=True, highlight=False)
    try:
        with service(arguments.stack) as stack_file:
            results = asyncio.run(_measure_all(arguments, stack_file, console))
    except EXPECTED as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    console.print(report.table(results, fanout=arguments.fanout))
    if arguments.json is not None:
        report.save(arguments.json, about, vars(arguments), results)
    return 0 if report.is_flawless(results) else 1


async def _measure_all(arguments: argparse.Namespace, stack_file: Path, console: Console) -> list[list[Result]]:
    results = []
    async with scene(stack_file, fanout=arguments.fanout, remember=_most_events(arguments)) as here:
        with closing(Connections(here.api)) as connections:
            for scenario in _scenarios(arguments, connections):
                runs = []
                for number in range(arguments.repeat):
                    console.print(f"{scenario.name}, run {number + 1} of {arguments.repeat} …", highlight=False)
                    runs.append(await measure(here, scenario, patience_seconds=arguments.patience))
                results.append(runs)
    return results


def _most_events(arguments: argparse.Namespace) -> int:
    """Of one scenario with its warm-up, generously."""
    by_rate = (rate * (arguments.seconds + WARM_UP_SECONDS) for rate in arguments.rates)
    return 2 * int(max((arguments.events + arguments.batch, *by_rate)))


def _scenarios(arguments: argparse.Namespace, connections: Connections) -> list[Scenario]:
    size = arguments.bytes
    scenarios = []
    for rate in arguments.rates:
        at_rate = partial(open_loop, connections, rate=rate, size=size)
        name = f"{rate:g} events/s"
        scenarios.append(
            Scenario(name, partial(at_rate, seconds=arguments.seconds), partial(at_rate, seconds=WARM_UP_SECONDS))
        )
    if arguments.events:
        flat = partial(flat_out, connections, batch=arguments.batch, senders=arguments.senders, size=size)
        warm_up = max(int(arguments.events * WARM_UP_SHARE), arguments.batch)
        scenarios.append(
            Scenario("flat out", partial(flat, events=arguments.events), partial(flat, events=warm_up))
        )
    return scenarios


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.delivery",
        description="Measure the service on this machine: single events at constant rates, then batches as fast as"
        f" they are taken. Each is preceded by a warm-up that counts for nothing ({WARM_UP_SECONDS:g} s at the"
        f" rate, or {WARM_UP_SHARE:.0%} of the events). Starts a service of its own in a temporary folder"
        " unless --stack names one. bench/README.md says how to read the figures.",
    )
    parser.add_argument("--stack", type=Path, help="stack.json of a running service to measure")
    parser.add_argument(
        "--rates", type=float, nargs="*", default=[50, 200], metavar="RATE", help="events/s (%(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=20, help="how long at each rate (%(default)s)")
    parser.add_argument("--events", type=int, default=10_000, help="of flat out; 0 leaves it out (%(default)s)")
    parser.add_argument("--batch", type=int, default=500, help="events a request of flat out (%(default)s)")
    parser.add_argument("--senders", type=int, default=2, help="requests of flat out at a time (%(default)s)")
    parser.add_argument("--fanout", type=int, default=3, help="webhooks an event goes to (%(default)s)")
    parser.add_argument("--bytes", type=int, default=500, help="of an event's data (%(default)s)")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each, for medians (%(default)s)")
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_SECONDS,
        help="seconds without any arrival to wait (%(default)s)",
    )
    parser.add_argument("--json", type=Path, help="write all figures to this file as well")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
