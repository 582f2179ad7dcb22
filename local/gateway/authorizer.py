"""A Lambda authorizer with simple responses, and its cache by identity sources."""

import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from local.cloudformation.http_api import AuthorizerSpec
from local.gateway.payload import Request
from local.lambdas.runtime_api import Result

CACHED = 10_000  # answers; AWS states no number
Invoke = Callable[[bytes], Awaitable[Result]]


class AuthorizerError(RuntimeError):
    """The authorizer failed or answered nonsense; HTTP API answers 500."""


@dataclass(frozen=True)
class Decision:
    allowed: bool
    context: dict[str, Any]


class Authorizer:
    """Decides who may pass. An answer counts for `ttl` seconds for the same identity."""

    def __init__(
        self, spec: AuthorizerSpec, invoke: Invoke, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.spec = spec
        self._invoke = invoke
        self._clock = clock
        self._cache: OrderedDict[tuple[str, ...], tuple[float, Decision]] = OrderedDict()

    def identity(self, request: Request) -> list[str] | None:
        """The values of the identity sources, or None when one is missing: then nobody is asked."""
        values = [_value(source, request) for source in self.spec.identity_sources]
        return [value for value in values if value] if all(values) else None

    async def decide(self, identity: list[str], event: Callable[[], dict[str, Any]]) -> Decision:
        """The cached decision, or the function's on `event()`. Raises AuthorizerError."""
        key = tuple(identity)
        if self.spec.ttl and key in self._cache:
            expires, decision = self._cache[key]
            if expires > self._clock():
                return decision
        decision = _decision(await self._invoke(json.dumps(event()).encode()))
        if self.spec.ttl and identity:
            self._remember(key, decision)
        return decision

    def _remember(self, key: tuple[str, ...], decision: Decision) -> None:
        self._cache[key] = (self._clock() + self.spec.ttl, decision)
        self._cache.move_to_end(key)
        if len(self._cache) > CACHED:
            self._cache.popitem(last=False)


def _value(source: str, request: Request) -> str | None:
    _, kind, name = source.split(".", 2)
    return request.headers.get(name.lower()) if kind == "header" else request.parameters.get(name)


def _decision(result: Result) -> Decision:
    if result.failed:
        raise AuthorizerError(f"the authorizer failed: {result.payload.decode(errors='replace')}")
    try:
        answer = json.loads(result.payload)
        allowed = answer["isAuthorized"]
        context = answer.get("context") or {}
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise AuthorizerError(f"the authorizer's answer is no simple response: {result.payload!r}") from error
    if not isinstance(allowed, bool) or not isinstance(context, dict):
        raise AuthorizerError(f"the authorizer's answer is no simple response: {result.payload!r}")
    return Decision(allowed, context)
