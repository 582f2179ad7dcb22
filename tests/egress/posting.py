"""Sending by the sender as it is, to whatever a test has set up."""

from collections.abc import Callable

from functions.adapters.sender import Request, Response, send
from functions.domain import egress
from functions.domain.allowlist import networks


def sent(requests: list[Request], may_connect: Callable[[str, int], bool] = egress.may_connect) -> list[Response]:
    came = [one for batch in send(iter(requests), may_connect=may_connect) for one in batch]
    return [one for one in came if isinstance(one, Response)]


def request(url: str, timeout_ms: int = 20_000, allowed: tuple[str, ...] = (), **headers: str) -> Request:
    return Request(
        "reference", url, headers or {"content-type": "application/json"}, b"{}", timeout_ms, networks(allowed)
    )


def post(
    url: str,
    timeout_ms: int = 20_000,
    allowed: tuple[str, ...] = (),
    may_connect: Callable[[str, int], bool] = egress.may_connect,
) -> Response:
    (response,) = sent([request(url, timeout_ms, allowed)], may_connect)
    return response


def anywhere(_address: str, _port: int) -> bool:
    return True


def code(response: Response) -> str | None:
    return response.failure.code if response.failure else None
