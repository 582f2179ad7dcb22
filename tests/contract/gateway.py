"""A client that the functions see as they see one through the gateway: its events, made from what is on the wire.

In this process, so that thousands of requests take seconds; test_gateway.py and the fuzzing take the real one.
"""

import json
from typing import Any
from urllib.parse import parse_qsl, unquote
from uuid import uuid4

from functions.api import handler as api
from functions.authorizer import handler as authorizer
from local.gateway import payload
from tests.integration.conftest import Answer, Client, Context

ROUTE = "ANY /v1/{proxy+}"


class Wire(Client):
    """`raw` is the body's bytes, or its text; a path may hold what only its percent-encoding can say."""

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        raw: str | bytes | None = None,
    ) -> Answer:
        if raw is None:
            raw = "" if body is None else json.dumps(body)
        content = raw if isinstance(raw, bytes) else raw.encode()
        request = self._request(method, path, content, headers or {})
        context = payload.request_context(
            request, route_key=ROUTE, api_id="api", stage="$default", request_id=uuid4().hex
        )
        if request.path.startswith("/v1/"):
            asked = payload.authorizer_event(
                request, route_key=ROUTE, route_arn="arn", identity=[], parameters={}, context=context
            )
            context["authorizer"] = {"lambda": authorizer.handler(asked, Context())["context"]}
        event = payload.event(request, route_key=ROUTE, parameters={}, context=context)
        answered = api.handler(json.loads(json.dumps(event)), Context())
        text = answered.get("body") or ""
        return Answer(
            answered["statusCode"], answered["headers"], json.loads(text) if text[:1] in {"{", "["} else text
        )

    def _request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> payload.Request:
        path, _, query = path.partition("?")
        sent = {"authorization": f"Bearer {self.key}", "content-type": "application/json", **headers}
        return payload.Request(
            method=method,
            path=unquote(path).partition("?")[0],
            query=query,
            protocol="HTTP/1.1",
            source_ip="127.0.0.1",
            headers=sent,
            cookies=[],
            parameters=payload._joined(parse_qsl(query, keep_blank_values=True)),
            body=body,
        )
