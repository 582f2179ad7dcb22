"""`python -m local`: run the synthesized stack on this machine."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from local import logs
from local.errors import LocalError
from local.files import FolderInUseError, lock
from local.lambdas.functions import MAX_CONCURRENCY
from local.processes import ROOT
from local.supervisor import Options, run


def main() -> int:
    """Returns the exit status: 0 after a stop that was asked for, 1 when the stack could not run."""
    arguments = _arguments()
    state_dir: Path = arguments.state_dir.absolute()
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    log_file = state_dir / "logs" / "hookline.log"
    try:
        with lock(state_dir / "lock"):
            logs.set_up(log_file, verbose=arguments.verbose)
            asyncio.run(_run(_options(arguments, state_dir, log_file)))
    except FolderInUseError as error:
        print(f"Hookline runs already: {error}", file=sys.stderr)
        return 1
    except LocalError as error:
        logs.say(f"{error}\nThe whole log: {log_file}", logging.ERROR)
        return 1
    return 0


async def _run(options: Options) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(options, stop)


def _options(arguments: argparse.Namespace, state_dir: Path, log_file: Path) -> Options:
    return Options(
        state_dir=state_dir,
        template=arguments.template.absolute(),
        root=arguments.root.absolute(),
        log_file=log_file,
        port=arguments.port,
        max_concurrency=arguments.max_concurrency,
        demo=arguments.demo,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description="Run the synthesized stack on this machine: Postgres, the queues, the functions and the"
        " HTTP API of the template, on 127.0.0.1 only. Data is kept between starts. When it is ready,"
        " stack.json in the state folder says where everything is.",
    )
    parser.add_argument("--demo", action="store_true", help="once it is ready, show events being delivered")
    parser.add_argument("--verbose", action="store_true", help="show every line of every process")
    parser.add_argument(
        "--state-dir", type=Path, default=ROOT / ".local", help="where data, keys and logs are kept (%(default)s)"
    )
    parser.add_argument(
        "--port",
        type=_port,
        help="port of the API, 0 for any; else HOOKLINE_PORT, else 8080 if it is free",
    )
    parser.add_argument(
        "--template",
        type=Path,
        default=ROOT / "cdk.out" / "hookline-dev.template.json",
        help="the synthesized template (%(default)s)",
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="folder that handlers are found in (%(default)s)")
    parser.add_argument(
        "--max-concurrency",
        type=_count,
        default=MAX_CONCURRENCY,
        help="processes of one function at a time (%(default)s)",
    )
    return parser.parse_args()


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"{text} is not a port")
    return port


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


if __name__ == "__main__":
    sys.exit(main())
