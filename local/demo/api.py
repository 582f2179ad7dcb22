"""The HTTP API from a customer's side."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp

PAGE = 250  # the most a list gives at once


class ApiError(RuntimeError):
    """The API refused a request or did not answer."""


@dataclass(frozen=True)
class Api:
    """One caller: where, and with which key. Every method raises ApiError."""

    session: aiohttp.ClientSession
    url: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}

    async def call(self, method: str, path: str, *, body: Any = None, params: dict[str, str] | None = None) -> Any:
        """The answer's JSON; None when it has no body."""
        request = self.session.request(method, self.url + path, json=body, params=params, headers=self.headers)
        try:
            async with request as response:
                if not response.ok:
                    raise ApiError(f"{method} {path} answered {response.status}: {await response.text()}")
                return await response.json() if response.status != 204 else None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiError(f"{method} {path} got no answer: {str(error) or type(error).__name__}") from error

    async def every(self, path: str, **params: str) -> AsyncIterator[dict[str, Any]]:
        """All rows of a list, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            query = {**params, "limit": str(PAGE), **({"cursor": cursor} if cursor else {})}
            page = await self.call("GET", path, params=query)
            for row in page["data"]:
                yield row
            cursor = page["next_cursor"]
