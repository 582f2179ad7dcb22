"""HTTP servers on loopback, as bare as aiohttp makes them: no routing, no access log, bodies as they came."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

HEADER_BYTES = 10_240  # HTTP API's limit for all headers together


@dataclass(frozen=True)
class Listener:
    """A server that is listening."""

    connections: web.Server
    socket: asyncio.Server

    @property
    def port(self) -> int:
        port: int = self.socket.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Take no new connections."""
        self.socket.close()

    async def shut_down(self, seconds: float) -> None:
        """Take no new connections, and end those there are once their requests are answered."""
        self.socket.close()
        self.connections.pre_shutdown()
        await self.connections.shutdown(seconds)


async def listen(handler: Handler, *, port: int = 0, max_body: int) -> Listener:
    """Serve on 127.0.0.1; `max_body` bytes, above which reading raises HTTPRequestEntityTooLarge.

    Raises OSError when the port is taken.
    """
    loop = asyncio.get_running_loop()

    def request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=max_body)

    connections = web.Server(
        handler,
        request_factory=request,
        access_log=None,
        auto_decompress=False,
        max_line_size=HEADER_BYTES,
        max_field_size=HEADER_BYTES,
    )
    return Listener(connections, await loop.create_server(connections, "127.0.0.1", port, backlog=1024))
