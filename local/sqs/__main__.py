"""`python -m local.sqs`: start the queue emulator."""

import argparse
import asyncio
import logging
import os
import socket
import sqlite3
from pathlib import Path

from local.sqs.emulator import Identity, serve
from local.sqs.parent import end_with_parent
from local.sqs.storage import Storage, StorageError


def main() -> None:
    """Serve until SIGTERM or SIGINT, or until the parent process ends."""
    arguments = _arguments()
    end_with_parent(arguments.parent_pid)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    identity = Identity(arguments.account, arguments.region)
    try:
        with (
            socket.create_server(("127.0.0.1", arguments.port)) as listener,
            Storage(arguments.data) as storage,
        ):
            asyncio.run(serve(identity, listener, storage))
    except (OSError, sqlite3.Error, StorageError) as error:
        raise SystemExit(f"local.sqs: {error}") from error


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.sqs",
        description="A local Amazon SQS for standard queues. Serves on 127.0.0.1, prints its port as a line"
        " of JSON on stdout when it is ready, and ends with the process that started it.",
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0, the default, takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="SQLite file that keeps queues and messages")
    parser.add_argument("--account", default="000000000000", help="account id in ARNs and URLs (%(default)s)")
    parser.add_argument("--region", default="eu-central-1", help="region in ARNs (%(default)s)")
    parser.add_argument(
        "--parent-pid", type=int, default=os.getppid(), help="end at once if this is not the parent"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
