import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from local.cloudformation.http_api import AuthorizerSpec, HttpApiSpec, RouteSpec, Throttle
from local.gateway import gateway
from local.gateway.gateway import Gateway
from local.lambdas.runtime_api import Result

AUTHORIZER = AuthorizerSpec("auth", "authorizer", ("$request.header.Authorization",), 60)
OPEN = RouteSpec("$default", "api", 30, None, None)
GUARDED = RouteSpec("ANY /v1/{proxy+}", "api", 30, AUTHORIZER, None)

Answers = dict[str, Callable[[Any], Any]]
Script = Callable[[aiohttp.ClientSession], Awaitable[None]]


class Functions:
    """Functions by name: each takes an event and gives its result, or raises for a failed one."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.events: list[tuple[str, Any]] = []

    async def __call__(self, name: str, payload: bytes) -> Result:
        event = json.loads(payload)
        self.events.append((name, event))
        try:
            answer = self.answers[name](event)
            answer = await answer if asyncio.iscoroutine(answer) else answer
        except ValueError as error:
            return Result(json.dumps({"errorMessage": str(error)}).encode(), failed=True)
        return Result(json.dumps(answer).encode())


def serve(script: Script, functions: Functions, *routes: RouteSpec) -> None:
    """Run the script against a gateway with these routes."""

    async def run() -> None:
        subject = Gateway(HttpApiSpec("abc", "$default", routes), functions)
        port = await subject.start(0)
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                await script(session)
        finally:
            await subject.stop(1)

    asyncio.run(asyncio.wait_for(run(), 30))


def ok(_: Any) -> dict[str, Any]:
    return {"statusCode": 200, "body": "fine"}


def allow(_: Any) -> dict[str, Any]:
    return {"isAuthorized": True, "context": {"project": "p1"}}


def refuse(error: Any) -> Any:
    raise ValueError("boom")


async def expect(response: aiohttp.ClientResponse, status: int, message: str) -> None:
    """The service's own refusal, in its own words, with its request id."""
    assert response.status == status
    assert await response.json() == {"message": message}
    assert len(response.headers["apigw-requestid"]) == 16


def test_a_request_reaches_its_function_with_the_authorizer_s_context() -> None:
    functions = Functions({"api": ok, "authorizer": allow})

    async def script(session: aiohttp.ClientSession) -> None:
        response = await session.post("/v1/events?a=1", json={"x": 1}, headers={"Authorization": "Bearer k"})
        assert (response.status, await response.text()) == (200, "fine")
        assert response.headers["apigw-requestid"] == functions.events[1][1]["requestContext"]["requestId"]

    serve(script, functions, GUARDED, OPEN)
    (asked, question), (called, event) = functions.events
    assert (asked, called) == ("authorizer", "api")
    assert question["type"] == "REQUEST"
    assert question["identitySource"] == ["Bearer k"]
    assert question["routeArn"] == "arn:aws:execute-api:eu-central-1:000000000000:abc/$default/POST/v1/events"
    assert "body" not in question
    assert event["requestContext"]["authorizer"] == {"lambda": {"project": "p1"}}
    assert event["pathParameters"] == {"proxy": "events"}
    assert json.loads(event["body"]) == {"x": 1}


def test_without_the_identity_source_nobody_is_asked() -> None:
    functions = Functions({"api": ok, "authorizer": allow})

    async def script(session: aiohttp.ClientSession) -> None:
        await expect(await session.get("/v1/events"), 401, "Unauthorized")

    serve(script, functions, GUARDED, OPEN)
    assert functions.events == []


def test_the_default_route_needs_no_key() -> None:
    functions = Functions({"api": ok})

    async def script(session: aiohttp.ClientSession) -> None:
        assert (await session.get("/health")).status == 200

    serve(script, functions, GUARDED, OPEN)
    assert functions.events[0][1]["routeKey"] == "$default"
    assert "authorizer" not in functions.events[0][1]["requestContext"]


def test_a_refused_caller_gets_403_and_the_answer_is_cached() -> None:
    functions = Functions({"api": ok, "authorizer": lambda _: {"isAuthorized": False}})

    async def script(session: aiohttp.ClientSession) -> None:
        for _ in range(2):
            response = await session.get("/v1/events", headers={"Authorization": "x"})
            await expect(response, 403, "Forbidden")

    serve(script, functions, GUARDED)
    assert [name for name, _ in functions.events] == ["authorizer"]


def test_a_broken_authorizer_is_an_internal_error() -> None:
    functions = Functions({"api": ok, "authorizer": refuse})

    async def script(session: aiohttp.ClientSession) -> None:
        response = await session.get("/v1/events", headers={"Authorization": "x"})
        await expect(response, 500, "Internal Server Error")

    serve(script, functions, GUARDED)


def test_a_failed_function_and_a_malformed_result_are_internal_errors() -> None:
    async def script(session: aiohttp.ClientSession) -> None:
        await expect(await session.get("/"), 500, "Internal Server Error")

    serve(script, Functions({"api": refuse}), OPEN)
    serve(script, Functions({"api": lambda _: {"statusCode": "x"}}), OPEN)


def test_an_integration_that_takes_too_long_is_503_and_runs_on() -> None:
    ended = []

    async def slow(_: Any) -> dict[str, Any]:
        await asyncio.sleep(0.3)
        ended.append(True)
        return {"statusCode": 200}

    async def script(session: aiohttp.ClientSession) -> None:
        await expect(await session.get("/"), 503, "Service Unavailable")
        assert not ended
        while not ended:
            await asyncio.sleep(0.01)

    serve(script, Functions({"api": slow}), RouteSpec("$default", "api", 0.05, None, None))


def test_a_slow_authorizer_is_an_internal_error(monkeypatch: Any) -> None:
    monkeypatch.setattr(gateway, "AUTHORIZER_SECONDS", 0.05)

    async def slow(_: Any) -> None:
        await asyncio.sleep(5)

    async def script(session: aiohttp.ClientSession) -> None:
        response = await session.get("/v1/events", headers={"Authorization": "x"})
        await expect(response, 500, "Internal Server Error")

    serve(script, Functions({"api": ok, "authorizer": slow}), GUARDED)


def test_an_unknown_path_without_a_default_route_is_404() -> None:
    async def script(session: aiohttp.ClientSession) -> None:
        await expect(await session.get("/nowhere"), 404, "Not Found")

    serve(script, Functions({}), GUARDED)


def test_a_body_is_limited_to_10_mb_and_an_event_to_6() -> None:
    functions = Functions({"api": ok})

    async def script(session: aiohttp.ClientSession) -> None:
        headers = {"Content-Type": "application/json"}
        large = await session.post("/", data=b"x" * (10 * 1024 * 1024 + 1), headers=headers)
        await expect(large, 413, "Request Entity Too Large")
        await expect(
            await session.post("/", data=b"x" * 6_400_000, headers=headers), 413, "Request Entity Too Large"
        )
        assert (await session.post("/", data=b"x" * 6_000_000, headers=headers)).status == 200

    serve(script, functions, OPEN)
    assert len(functions.events) == 1


def test_a_route_is_throttled_by_itself() -> None:
    functions = Functions({"api": ok})
    limited = RouteSpec("GET /a", "api", 30, None, Throttle(rate=0.001, burst=2))

    async def script(session: aiohttp.ClientSession) -> None:
        assert [(await session.get("/a")).status for _ in range(2)] == [200, 200]
        await expect(await session.get("/a"), 429, "Too Many Requests")
        assert (await session.get("/b")).status == 200

    serve(script, functions, limited, OPEN)


def test_a_client_that_waits_for_100_continue_is_told_to_go_on() -> None:
    async def script(session: aiohttp.ClientSession) -> None:
        response = await session.post("/", data=b"hello", expect100=True)
        assert response.status == 200

    serve(script, Functions({"api": ok}), OPEN)


def test_it_listens_on_loopback_only() -> None:
    async def run() -> None:
        subject = Gateway(HttpApiSpec("abc", "$default", (OPEN,)), Functions({}))
        await subject.start(0)
        assert subject._listener is not None
        assert [socket.getsockname()[0] for socket in subject._listener.socket.sockets] == ["127.0.0.1"]
        await subject.stop(0)

    asyncio.run(run())
