"""The HTTP API on loopback: throttle, authorizer, function, in the order and with the answers AWS has."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from local.cloudformation.http_api import HttpApiSpec, RouteSpec
from local.cloudformation.template import ACCOUNT, REGION
from local.gateway import payload
from local.gateway.authorizer import Authorizer, AuthorizerError
from local.gateway.payload import BadResultError, Event, Request
from local.gateway.routes import Match, matcher
from local.gateway.throttle import TokenBucket
from local.lambdas.runtime_api import PAYLOAD_BYTES, Result
from local.logs import say
from local.serving import Listener, listen

BODY_BYTES = 10 * 1024 * 1024  # HTTP API's limit of a request's body
AUTHORIZER_SECONDS = 10.0  # HTTP API waits no longer for an authorizer

InvokeFunction = Callable[[str, bytes], Awaitable[Result]]


class Gateway:
    """Serves one HTTP API of the template."""

    def __init__(self, api: HttpApiSpec, invoke: InvokeFunction) -> None:
        """`invoke` runs a function by name."""
        self._api = api
        self._invoke = invoke
        self._match = matcher(api.routes)
        self._buckets = _buckets(api)
        self._authorizers = self._make_authorizers()
        self._listener: Listener | None = None

    @property
    def functions(self) -> set[str]:
        """The functions a caller waits for."""
        authorizers = {route.authorizer.function for route in self._api.routes if route.authorizer}
        return self.integrations | authorizers

    @property
    def integrations(self) -> set[str]:
        """The functions that answer requests."""
        return {route.function for route in self._api.routes}

    async def start(self, port: int) -> int:
        """Listen on 127.0.0.1; returns the port."""
        self._listener = await listen(self._handle, port=port, max_body=BODY_BYTES)
        return self._listener.port

    async def stop(self, seconds: float) -> None:
        """Take no new requests and let those under way end within `seconds`."""
        if self._listener is not None:
            await self._listener.shut_down(seconds)

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        request_id = payload.new_request_id()
        try:
            return await self._answer(http, request_id)
        except web.HTTPRequestEntityTooLarge:
            return payload.refusal(413, request_id)
        except TimeoutError:
            return payload.refusal(503, request_id)
        except (AuthorizerError, BadResultError) as error:
            say(f"{http.method} {http.raw_path}: {error}", logging.ERROR)
            return payload.refusal(500, request_id)

    async def _answer(self, http: web.BaseRequest, request_id: str) -> web.StreamResponse:
        if http.headers.get("expect", "").lower() == "100-continue" and http.transport is not None:
            http.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request = payload.read(http, await http.read())
        match = self._match(request.method, request.path)
        if match is None:
            return payload.refusal(404, request_id)
        bucket = self._buckets.get(match.route.key)
        if bucket is not None and not bucket.take():
            return payload.refusal(429, request_id)
        context = self._context(request, match.route, request_id)
        status = await self._authorize(request, match, context)
        return payload.refusal(status, request_id) if status else await self._integrate(request, match, context)

    async def _authorize(self, request: Request, match: Match, context: Event) -> int | None:
        """The status to refuse with, or None with the authorizer's context added to `context`."""
        route = match.route
        if route.authorizer is None:
            return None
        authorizer = self._authorizers[route.authorizer.authorizer_id]
        identity = authorizer.identity(request)
        if identity is None:
            return 401

        def event() -> Event:
            return payload.authorizer_event(
                request,
                route_key=route.key,
                route_arn=self._route_arn(request),
                identity=identity,
                parameters=match.parameters,
                context=context,
            )

        decision = await authorizer.decide(identity, event)
        if not decision.allowed:
            return 403
        context["authorizer"] = {"lambda": decision.context}
        return None

    async def _integrate(self, request: Request, match: Match, context: Event) -> web.StreamResponse:
        route = match.route
        event = payload.event(request, route_key=route.key, parameters=match.parameters, context=context)
        body = json.dumps(event).encode()
        if len(body) > PAYLOAD_BYTES:
            return payload.refusal(413, context["requestId"])
        # As on AWS, a caller who got 503 does not end the invocation.
        invocation = asyncio.ensure_future(self._invoke(route.function, body))
        result = await asyncio.wait_for(asyncio.shield(invocation), route.timeout)
        if result.failed:
            return payload.refusal(500, context["requestId"])
        return payload.response(result.payload, context["requestId"])

    def _context(self, request: Request, route: RouteSpec, request_id: str) -> Event:
        return payload.request_context(
            request,
            route_key=route.key,
            api_id=self._api.api_id,
            stage=self._api.stage,
            request_id=request_id,
        )

    def _route_arn(self, request: Request) -> str:
        where = f"{self._api.api_id}/{self._api.stage}/{request.method}{request.path}"
        return f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{where}"

    def _make_authorizers(self) -> Mapping[str, Authorizer]:
        specs = {route.authorizer for route in self._api.routes if route.authorizer}
        return {spec.authorizer_id: Authorizer(spec, self._authorizer_call(spec.function)) for spec in specs}

    def _authorizer_call(self, function: str) -> Callable[[bytes], Awaitable[Result]]:
        async def call(event: bytes) -> Result:
            try:
                return await asyncio.wait_for(asyncio.shield(self._invoke(function, event)), AUTHORIZER_SECONDS)
            except TimeoutError:
                raise AuthorizerError(f"{function} took more than {AUTHORIZER_SECONDS:.0f} s") from None

        return call


def _buckets(api: HttpApiSpec) -> dict[str, TokenBucket]:
    return {
        route.key: TokenBucket(rate=route.throttle.rate, burst=route.throttle.burst)
        for route in api.routes
        if route.throttle is not None
    }
