"""Lambda's Invoke, for boto3's client with `endpoint_url`: tests and operators run a function by hand.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import asyncio
import json
import re
from collections.abc import Mapping
from urllib.parse import unquote

from aiohttp import web

from local.cloudformation.resources import function_in
from local.lambdas.background import Background
from local.lambdas.functions import Function
from local.lambdas.runtime_api import PAYLOAD_BYTES
from local.serving import Listener, listen

_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")


class LambdaApi:
    """Serves the stack's functions by name or ARN."""

    def __init__(self, functions: Mapping[str, Function], background: Background) -> None:
        self._functions = functions
        self._background = background
        self._listener: Listener | None = None

    async def start(self, port: int) -> int:
        """Listen on 127.0.0.1; returns the port."""
        self._listener = await listen(self._handle, port=port, max_body=PAYLOAD_BYTES)
        return self._listener.port

    async def stop(self, seconds: float) -> None:
        if self._listener is not None:
            await self._listener.shut_down(seconds)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        match = _INVOKE.fullmatch(request.path)
        if request.method != "POST" or match is None:
            return _refusal(
                404, "UnknownOperationException", f"{request.method} {request.path} is not served here"
            )
        # SDKs always sign. A web page cannot send this header here without a preflight, which nobody answers.
        if "Authorization" not in request.headers:
            return _refusal(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        try:
            payload = await request.read() or b"{}"
        except web.HTTPRequestEntityTooLarge:
            return _refusal(413, "RequestTooLargeException", f"Request must be smaller than {PAYLOAD_BYTES} bytes")
        if not _is_json(payload):
            return _refusal(400, "InvalidRequestContentException", "Could not parse request body into json")
        return await self._invoke(unquote(match.group(1)), request.headers.get("X-Amz-Invocation-Type"), payload)

    async def _invoke(self, name: str, kind: str | None, payload: bytes) -> web.StreamResponse:
        function = self._functions.get(function_in(name).partition(":")[0])
        if function is None:
            return _refusal(404, "ResourceNotFoundException", f"Function not found: {name}")
        if kind == "DryRun":
            return web.Response(status=204)
        if kind == "Event":
            self._background.invoke(function, payload)
            return web.Response(status=202)
        result = await asyncio.shield(function.invoke(payload))
        headers = {"X-Amz-Executed-Version": "$LATEST", "Content-Type": "application/json"}
        if result.failed:
            headers["X-Amz-Function-Error"] = "Unhandled"
        return web.Response(body=result.payload, headers=headers)


def _is_json(payload: bytes) -> bool:
    try:
        json.loads(payload)
    except ValueError:
        return False
    return True


def _refusal(status: int, kind: str, message: str) -> web.Response:
    return web.Response(
        status=status,
        body=json.dumps({"Type": "User", "Message": message}).encode(),
        headers={"Content-Type": "application/json", "x-amzn-ErrorType": kind},
    )
