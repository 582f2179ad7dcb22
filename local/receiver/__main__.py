"""`python -m local.receiver`: receive deliveries, verify them, and keep the score."""

import argparse
import asyncio
import json
import os
import signal
import sys

from local.receiver.server import Receiver
from local.serving import listen
from local.sqs.parent import end_with_parent

MAX_BODY_BYTES = 4 << 20  # well above an event's 256 KiB, however Postgres renders it
REMEMBER = 200_000
END_SECONDS = 1.0  # what is being answered may end in


def main() -> None:
    """Serve until SIGTERM or SIGINT, or until the parent process ends."""
    arguments = _arguments()
    end_with_parent(arguments.parent_pid)
    try:
        asyncio.run(_serve([arguments.port] + [0] * (arguments.hosts - 1), arguments.remember))
    except OSError as error:
        sys.exit(f"local.receiver: {error}")


async def _serve(ports: list[int], remember: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    receiver = Receiver(remember=remember)
    listeners = [await listen(receiver.handle, port=port, max_body=MAX_BODY_BYTES) for port in ports]
    taken = [listener.port for listener in listeners]
    print(json.dumps({"port": taken[0], "ports": taken}), flush=True)
    await stop.wait()
    await asyncio.gather(*(listener.shut_down(END_SECONDS) for listener in listeners))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.receiver",
        description="Webhook endpoints on 127.0.0.1 that verify every signature with the package standardwebhooks."
        " Prints its ports as a line of JSON on stdout when it is ready, and ends with the process that"
        " started it.",
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0, the default, takes a free one")
    parser.add_argument(
        "--hosts", type=int, default=1, help="ports, to be hosts of their own for the sender (%(default)s)"
    )
    parser.add_argument(
        "--remember", type=int, default=REMEMBER, help="events an endpoint remembers at most (%(default)s)"
    )
    parser.add_argument(
        "--parent-pid", type=int, default=os.getppid(), help="end at once if this is not the parent"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
