"""AWS's Lambda Runtime API (2018-06-01) for one worker: it asks for the next invocation and posts the answer.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. The client names no worker in its requests, so
every worker gets a port of its own and the port says who is asking.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from local.lambdas.runtime_connection import Answer, RuntimeConnection, response

PREFIX = "/2018-06-01/runtime/"
PAYLOAD_BYTES = 6 * 1024 * 1024  # of a synchronous request or response
RESPONSE_BYTES = PAYLOAD_BYTES + 100  # AWS's slack, as its own message states

_ACCEPTED = response("202 Accepted", b'{"status": "OK"}')
_REFUSED = response("400 Bad Request", b'{"errorType": "InvalidRequestID"}')


@dataclass(frozen=True)
class Result:
    """What an invocation gave: the handler's JSON, or AWS's description of what went wrong."""

    payload: bytes
    failed: bool = False


@dataclass
class Invocation:
    request_id: str
    payload: bytes
    function_arn: str
    timeout: float  # seconds
    result: asyncio.Future[Result] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, result: Result) -> None:
        """First come, first kept: an answer may race with a timeout or a crash."""
        if not self.result.done():
            self.result.set_result(result)


class RuntimeApi:
    """The conversation with one worker."""

    def __init__(self, on_idle: Callable[[], None]) -> None:
        """`on_idle` is called whenever the worker asks for its next invocation."""
        self._on_idle = on_idle
        self._asking: Answer | None = None  # while the worker waits for its next invocation
        self._current: Invocation | None = None
        self._server: asyncio.Server | None = None
        self.init_error: Result | None = None

    async def start(self) -> str:
        """Listen; returns the value of AWS_LAMBDA_RUNTIME_API."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: RuntimeConnection(self._take), "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    def stop(self, reason: Result) -> None:
        """The worker is gone; what it was doing ends with `reason`."""
        if self._server is not None:
            self._server.close()
        self._asking = None
        if self._current is not None:
            self._current.settle(reason)

    def give(self, invocation: Invocation) -> None:
        """Hand an invocation to the worker, which was idle; it may have ended just now."""
        self._current, answer, self._asking = invocation, self._asking, None
        if answer is None:
            invocation.settle(error("Runtime.ExitError", "Runtime exited without providing a reason"))
        else:
            answer(_next(invocation))

    def _take(self, path: str, body: bytes, answer: Answer) -> None:
        kind = path.removeprefix(PREFIX)
        if kind == "invocation/next":
            self._current, self._asking = None, answer
            self._on_idle()
        elif kind == "init/error":
            self.init_error = Result(body, failed=True)
            answer(_ACCEPTED)
        else:
            answer(_ACCEPTED if self._post(kind, body) else _REFUSED)

    def _post(self, path: str, body: bytes) -> bool:
        """Take `invocation/<id>/response` or `…/error`; False when that invocation is not the current one."""
        _, _, rest = path.partition("/")
        request_id, _, kind = rest.partition("/")
        if self._current is None or self._current.request_id != request_id:
            return False
        if len(body) > RESPONSE_BYTES:
            self._current.settle(_too_large(len(body)))
        else:
            self._current.settle(Result(body, failed=kind == "error"))
        return True


def error(error_type: str, message: str) -> Result:
    """A failure in the form the service itself reports failures."""
    return Result(json.dumps({"errorType": error_type, "errorMessage": message}).encode(), failed=True)


def _next(invocation: Invocation) -> bytes:
    deadline = int((time.time() + invocation.timeout) * 1000)
    headers = (
        f"Lambda-Runtime-Aws-Request-Id: {invocation.request_id}\r\n"
        f"Lambda-Runtime-Deadline-Ms: {deadline}\r\n"
        f"Lambda-Runtime-Invoked-Function-Arn: {invocation.function_arn}\r\n"
    )
    return response("200 OK", invocation.payload, headers)


def _too_large(size: int) -> Result:
    return error(
        "Function.ResponseSizeTooLarge",
        f"Response payload size ({size} bytes) exceeded maximum allowed payload size ({RESPONSE_BYTES} bytes).",
    )
