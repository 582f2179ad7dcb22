"""HTTP API's payload format 2.0: a request as an event, and a function's result as a response.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html, and
where that is silent, what live captures of the service show.
"""

import base64
import json
import os
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from aiohttp import web
from multidict import CIMultiDict

from local.cloudformation.template import ACCOUNT

# Only these reach a function as text; forms, and bodies of no content type, come as base64 too (captured).
TEXT_TYPES = ("text/", "application/json", "application/xml", "application/javascript")
HOP_BY_HOP = {"connection", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
_ERRORS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

Event = dict[str, Any]


class BadResultError(ValueError):
    """The function returned something that is no response; HTTP API answers 500."""


@dataclass(frozen=True)
class Request:
    """What a request says, in the terms of the payload."""

    method: str
    path: str  # decoded, as HTTP API hands it on (captured; REST APIs keep it encoded)
    query: str  # as sent
    protocol: str
    source_ip: str
    headers: dict[str, str]  # lower-case names, several values joined by commas
    cookies: list[str]
    parameters: dict[str, str]  # of the query, several values joined by commas
    body: bytes


def read(request: web.BaseRequest, body: bytes) -> Request:
    path, _, query = request.raw_path.partition("?")
    headers, cookies = _headers(request, len(body))
    return Request(
        method=request.method,
        path=unquote(path).partition("?")[0],  # an encoded "?" ends the path (captured)
        query=query,
        protocol=f"HTTP/{request.version.major}.{request.version.minor}",
        source_ip=request.remote or "127.0.0.1",
        headers=headers,
        cookies=cookies,
        parameters=_joined(parse_qsl(query, keep_blank_values=True)),
        body=body,
    )


def event(request: Request, *, route_key: str, parameters: dict[str, str], context: Event) -> Event:
    """The event of a Lambda integration. `context` is the requestContext."""
    made: Event = {
        "version": "2.0",
        "routeKey": route_key,
        **_common(request, parameters),
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if request.body:
        text = _as_text(request)
        made["isBase64Encoded"] = text is None
        made["body"] = base64.b64encode(request.body).decode() if text is None else text
    return made


def authorizer_event(
    request: Request,
    *,
    route_key: str,
    route_arn: str,
    identity: list[str],
    parameters: dict[str, str],
    context: Event,
) -> Event:
    """The event of a Lambda authorizer, payload format 2.0; it never sees the body."""
    return {
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": route_arn,
        "identitySource": identity,
        "routeKey": route_key,
        **_common(request, parameters),
        "requestContext": context,
    }


def request_context(request: Request, *, route_key: str, api_id: str, stage: str, request_id: str) -> Event:
    now = time.time()
    host = request.headers.get("host", "")
    return {
        "accountId": ACCOUNT,
        "apiId": api_id,
        "domainName": host.rpartition(":")[0] or host,
        "domainPrefix": host.partition(".")[0],
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": request.headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": route_key,
        "stage": stage,
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "timeEpoch": int(now * 1000),
    }


def new_request_id() -> str:
    """Looks like the service's own: 16 characters of base64."""
    return base64.b64encode(os.urandom(11)).decode()


def response(result: bytes, request_id: str) -> web.Response:
    """The response a function's result stands for. Raises BadResultError."""
    try:
        value = json.loads(result)
    except ValueError:
        value = None
    headers = CIMultiDict({"apigw-requestid": request_id})
    if not isinstance(value, dict) or "statusCode" not in value:  # then the result itself is the body
        headers["content-type"] = "application/json"
        return web.Response(body=result, headers=headers)
    try:
        return _stated(value, headers)
    except (TypeError, ValueError, AttributeError) as error:
        raise BadResultError(f"the function's result is no response of format 2.0: {error}") from error


def refusal(status: int, request_id: str) -> web.Response:
    """HTTP API's own answer when no function gave one."""
    return web.Response(
        status=status,
        body=json.dumps({"message": _ERRORS[status]}, separators=(",", ":")).encode(),
        headers={"content-type": "application/json", "apigw-requestid": request_id},
    )


def _stated(value: dict[str, Any], headers: CIMultiDict[str]) -> web.Response:
    body = value.get("body") or ""
    if not isinstance(body, str):
        raise TypeError("body is not a string")
    for name, text in (value.get("headers") or {}).items():
        if name.lower() not in HOP_BY_HOP | {"content-length"}:
            headers[name] = text if isinstance(text, str) else json.dumps(text)
    headers.setdefault("content-type", "text/plain;charset=UTF-8")
    for cookie in value.get("cookies") or []:
        headers.add("set-cookie", cookie)
    status = int(value["statusCode"])
    if not 100 <= status <= 599:
        raise ValueError(f"{status} is no status code")
    content = base64.b64decode(body) if value.get("isBase64Encoded") else body.encode()
    return web.Response(status=status, body=content, headers=headers)


def _common(request: Request, parameters: dict[str, str]) -> Event:
    made: Event = {"rawPath": request.path, "rawQueryString": request.query, "headers": request.headers}
    if request.cookies:
        made["cookies"] = request.cookies
    if request.parameters:
        made["queryStringParameters"] = request.parameters
    if parameters:
        made["pathParameters"] = parameters
    return made


def _headers(request: web.BaseRequest, length: int) -> tuple[dict[str, str], list[str]]:
    joined = _joined(
        (name.lower().decode("latin-1"), value.decode("latin-1"))
        for name, value in request.raw_headers
        if name.lower().decode("latin-1") not in HOP_BY_HOP
    )
    cookies = [cookie.strip() for cookie in joined.pop("cookie", "").split(";") if cookie.strip()]
    joined["content-length"] = str(length)
    joined["x-forwarded-for"] = ", ".join(filter(None, (joined.get("x-forwarded-for"), request.remote)))
    joined["x-forwarded-proto"] = "http"
    joined["x-forwarded-port"] = joined.get("host", "").rpartition(":")[2] or "80"
    return joined, cookies


def _joined(pairs: Any) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _as_text(request: Request) -> str | None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not kind.startswith("text/") and kind not in TEXT_TYPES:
        return None
    try:
        return request.body.decode()
    except UnicodeDecodeError:
        return None
