"""The emulator put together: storage, broker and HTTP server, from start to clean stop."""

import asyncio
import json
import logging
import signal
import socket
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from local.sqs.actions.service import Service
from local.sqs.broker import Broker
from local.sqs.group_commit import GroupCommit
from local.sqs.long_polling import LongPolling
from local.sqs.move_tasks import MoveTasks
from local.sqs.mover import Mover
from local.sqs.server import MAX_REQUEST_BYTES, Server
from local.sqs.storage import Storage

logger = logging.getLogger(__name__)

STOP_SECONDS = 2.0  # for requests under way; those that wait for messages are answered at once


@dataclass(frozen=True, slots=True)
class Identity:
    """What ARNs and queue URLs name."""

    account: str
    region: str


class _Stop:
    """The order to stop, and what broke if it was not a signal."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.error: sqlite3.Error | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._event.set)

    def on_failure(self, error: sqlite3.Error) -> None:
        logger.critical("cannot write the data file, stopping: %s", error)
        self.error = error
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()


async def serve(identity: Identity, listener: socket.socket, storage: Storage) -> None:
    """Serve on `listener` until SIGTERM or SIGINT.

    Raises sqlite3.Error when the file could not be written: what was acknowledged is in it, the rest is lost.
    """
    broker = Broker(account=identity.account, region=identity.region, clock=_now, starts=storage.starts)
    broker.restore(storage.queues(), storage.messages())
    moves = MoveTasks(broker, storage.move_tasks())
    stop = _Stop()
    commit = GroupCommit(storage, broker.journal, stop.on_failure)
    polling = LongPolling(broker)
    mover = Mover(moves, commit)
    port: int = listener.getsockname()[1]
    service = Service(broker, moves, f"http://127.0.0.1:{port}")
    runner = await _start(Server(service, commit, polling, mover), listener)
    mover.start_all()
    logger.info("port %d, %d queues", port, len(broker.queues))
    print(json.dumps({"port": port}), flush=True)  # whoever started this on port 0 reads it
    await stop.wait()
    await _stop(runner, polling, mover, commit)
    if stop.error is not None:
        raise stop.error


async def _start(server: Server, listener: socket.socket) -> web.ServerRunner:
    # handler_cancellation: a receiver whose client has gone must stop waiting, or it would take messages.
    web_server = web.Server(server.handle, request_factory=_request, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(web_server, shutdown_timeout=STOP_SECONDS)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    return runner


async def _stop(runner: web.ServerRunner, polling: LongPolling, mover: Mover, commit: GroupCommit) -> None:
    polling.close()
    await mover.close()
    await runner.cleanup()
    commit.flush()
    logger.info("stopped")


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: asyncio.Task[None]) -> web.BaseRequest:
    """As aiohttp makes it, but for the size."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_REQUEST_BYTES)


def _now() -> int:
    return time.time_ns() // 1_000_000
