"""`python -m local.demo`: show events being delivered by the running service."""

import argparse
import asyncio
import sys
from pathlib import Path

import aiohttp
from rich.console import Console

from local.demo import stack
from local.demo.api import ApiError
from local.demo.examples import ExamplesError
from local.demo.first_event import NotArrivedError
from local.demo.show import show
from local.receiver.client import ReceiverError

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = (
    *(ApiError, ExamplesError, NotArrivedError, ReceiverError, stack.StackError),
    *(aiohttp.ClientError, TimeoutError),
)


def main() -> int:
    """Returns 0 if everything arrived, 1 if not, 130 after Ctrl-C."""
    arguments = _arguments()
    try:
        running = stack.read(arguments.stack)
        arrived = asyncio.run(show(running, Console(), patience_seconds=arguments.patience))
    except EXPECTED as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0 if arrived else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.demo",
        description="Send GitHub's published webhook payloads to the running service and watch them arrive at"
        " endpoints that verify every signature. Exits with 0 if everything arrived.",
    )
    parser.add_argument(
        "--stack",
        type=Path,
        default=ROOT / ".local" / "stack.json",
        help="the running service's stack.json (%(default)s)",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=30.0,
        help="seconds to wait for what has not arrived after the last event was sent (%(default)s)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
