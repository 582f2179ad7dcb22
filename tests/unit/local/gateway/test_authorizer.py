import asyncio
import json
from typing import Any

import pytest

from local.cloudformation.http_api import AuthorizerSpec
from local.gateway.authorizer import Authorizer, AuthorizerError, Decision
from local.gateway.payload import Request
from local.lambdas.runtime_api import Result


class Function:
    """Counts its invocations and answers what it is told to."""

    def __init__(self, answer: Any = None, *, failed: bool = False) -> None:
        self.answer = {"isAuthorized": True, "context": {"project": "p1"}} if answer is None else answer
        self.failed = failed
        self.events: list[Any] = []

    async def __call__(self, event: bytes) -> Result:
        self.events.append(json.loads(event))
        return Result(json.dumps(self.answer).encode(), failed=self.failed)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def authorizer(function: Function, clock: Clock, *, ttl: int = 60) -> Authorizer:
    spec = AuthorizerSpec("auth", "authorizer", ("$request.header.Authorization",), ttl)
    return Authorizer(spec, function, clock=clock)


def decide(asked: Authorizer, *identities: str) -> list[Decision]:
    async def all_of_them() -> list[Decision]:
        return [await asked.decide([identity], lambda: {"n": 1}) for identity in identities]

    return asyncio.run(all_of_them())


def request(**headers: str) -> Request:
    return Request("GET", "/", "", "HTTP/1.1", "127.0.0.1", headers, [], {"key": "q"}, b"")


def test_a_decision_counts_for_its_ttl_and_for_its_identity_only() -> None:
    function, clock = Function(), Clock()
    asked = authorizer(function, clock)
    decide(asked, "a", "a", "b")
    assert len(function.events) == 2
    clock.now += 59
    decide(asked, "a")
    assert len(function.events) == 2
    clock.now += 1
    assert decide(asked, "a") == [Decision(True, {"project": "p1"})]
    assert len(function.events) == 3


def test_a_refusal_is_cached_too() -> None:
    function = Function({"isAuthorized": False})
    assert decide(authorizer(function, Clock()), "a", "a") == [Decision(False, {})] * 2
    assert len(function.events) == 1


def test_a_ttl_of_zero_caches_nothing() -> None:
    function = Function()
    decide(authorizer(function, Clock(), ttl=0), "a", "a")
    assert len(function.events) == 2


@pytest.mark.parametrize(
    "answer", [{}, {"isAuthorized": "yes"}, ["x"], "yes", {"isAuthorized": True, "context": 5}]
)
def test_nonsense_is_an_error_and_is_not_cached(answer: Any) -> None:
    function = Function(answer)
    asked = authorizer(function, Clock())
    for _ in range(2):
        with pytest.raises(AuthorizerError):
            decide(asked, "a")
    assert len(function.events) == 2


def test_a_failed_authorizer_is_an_error() -> None:
    with pytest.raises(AuthorizerError, match="boom"):
        decide(authorizer(Function({"errorMessage": "boom"}, failed=True), Clock()), "a")


def test_identity_sources_are_read_from_headers_and_query() -> None:
    spec = AuthorizerSpec("auth", "f", ("$request.header.Authorization", "$request.querystring.key"), 60)
    asked = Authorizer(spec, Function())
    assert asked.identity(request(authorization="Bearer x")) == ["Bearer x", "q"]
    assert asked.identity(request()) is None
    assert asked.identity(request(authorization="")) is None
