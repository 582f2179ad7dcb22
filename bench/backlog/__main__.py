"""`python -m bench.backlog`: 100,000 deliveries that waited for paused webhooks, after these are resumed."""

import argparse
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

from rich.console import Console

from bench import command, load
from bench.backlog import report
from bench.backlog.drain import Result, drained, live, pile_up
from bench.connections import Connections
from bench.load import flat_out
from bench.scene import Plan, scene

SENDERS = 2  # requests at a time


def main() -> int:
    arguments = _arguments()
    return command.run(arguments, partial(_measure_all, arguments), report.show)


async def _measure_all(arguments: argparse.Namespace, stack_file: Path, console: Console) -> list[Result]:
    """A live load, then a backlog of the same webhooks, and so on."""
    events, live_events = (max(count // arguments.webhooks, 1) for count in (arguments.deliveries, arguments.live))
    plans = [Plan(f"backlog-{number}") for number in range(arguments.webhooks)]
    remember = (events + 2 * live_events) * arguments.repeat
    async with scene(stack_file, plans, remember=remember, hosts=arguments.webhooks) as here:
        with closing(Connections(here.api)) as connections:
            bodies = partial(load.batches, batch=arguments.batch, size=arguments.size)
            send = partial(flat_out, connections, senders=SENDERS)
            send_live = partial(send, bodies=bodies(live_events))
            console.print("warming up …", highlight=False)
            await live(here, send_live, arguments.patience)
            results = []
            for number in range(arguments.repeat):
                console.print(f"live, run {number + 1} of {arguments.repeat} …", highlight=False)
                results.append(await live(here, send_live, arguments.patience))
                console.print("piling up …", highlight=False)
                waiting = await pile_up(here, partial(send, bodies=bodies(events)), arguments.patience)
                console.print(f"backlog, run {number + 1} of {arguments.repeat} …", highlight=False)
                results.append(await drained(here, waiting, arguments.patience))
    return results


def _arguments() -> argparse.Namespace:
    parser = command.parser(
        "backlog",
        "Pause webhooks, send them events in batches until very many deliveries wait, resume them all, and watch"
        " these arrive; beside it the same webhooks and batches without a pause. bench/backlog/README.md says how"
        " to read the figures.",
        repeat=1,
    )
    parser.add_argument("--deliveries", type=int, default=100_000, help="that wait (%(default)s)")
    parser.add_argument("--live", type=int, default=20_000, help="of the live load (%(default)s)")
    parser.add_argument("--webhooks", type=int, default=20, help="each event goes to (%(default)s)")
    parser.add_argument("--batch", type=int, default=100, help="events a request (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
