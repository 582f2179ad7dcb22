import asyncio
import base64
import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from local.gateway import payload
from local.gateway.payload import BadResultError, Event, Request
from local.serving import listen


def sent(method: str, target: str, **options: Any) -> Request:
    """What the gateway reads of this request, sent over HTTP."""
    seen: list[Request] = []

    async def handle(http: web.BaseRequest) -> web.StreamResponse:
        seen.append(payload.read(http, await http.read()))
        return web.Response()

    async def send() -> None:
        listener = await listen(handle, max_body=1 << 20)
        base = f"http://127.0.0.1:{listener.port}"
        async with aiohttp.ClientSession() as session:
            from yarl import URL

            async with session.request(method, URL(base + target, encoded=True), **options):
                pass
        await listener.shut_down(1)

    asyncio.run(send())
    return seen[0]


def event_of(request: Request) -> Event:
    return payload.event(request, route_key="ANY /{proxy+}", parameters={}, context={"requestId": "r"})


def test_a_json_request_becomes_the_documented_event() -> None:
    request = sent(
        "POST",
        "/v1/events?type=a&type=b&empty=",
        data=b'{"a": 1}',
        headers=[
            ("Content-Type", "application/json"),
            ("X-Many", "1"),
            ("X-Many", "2"),
            ("Cookie", "a=1; b=2"),
        ],
    )
    event = payload.event(
        request, route_key="ANY /v1/{proxy+}", parameters={"proxy": "events"}, context={"k": "v"}
    )
    assert event["version"] == "2.0"
    assert event["routeKey"] == "ANY /v1/{proxy+}"
    assert (event["rawPath"], event["rawQueryString"]) == ("/v1/events", "type=a&type=b&empty=")
    assert event["queryStringParameters"] == {"type": "a,b", "empty": ""}
    assert event["pathParameters"] == {"proxy": "events"}
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["headers"]["x-many"] == "1,2"
    assert "cookie" not in event["headers"]
    assert event["headers"]["content-length"] == "8"
    assert event["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert (event["body"], event["isBase64Encoded"]) == ('{"a": 1}', False)
    assert event["requestContext"] == {"k": "v"}


def test_what_is_absent_is_left_out() -> None:
    event = event_of(sent("GET", "/health"))
    assert not {"body", "cookies", "queryStringParameters", "pathParameters"} & set(event)
    assert event["rawQueryString"] == ""
    assert event["isBase64Encoded"] is False


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "text/csv",
        "application/xml",
        "application/javascript",
        "TEXT/plain",
    ],
)
def test_these_bodies_come_as_text(content_type: str) -> None:
    event = event_of(sent("POST", "/", data="ä".encode(), headers={"Content-Type": content_type}))
    assert (event["body"], event["isBase64Encoded"]) == ("ä", False)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/octet-stream", b"\x00\xff"),
        ("application/x-www-form-urlencoded", b"a=1"),
        ("application/problem+json", b"{}"),
        ("application/json", b'{"a": "\xff"}'),
    ],
)
def test_other_bodies_come_as_base64(content_type: str, body: bytes) -> None:
    event = event_of(sent("POST", "/", data=body, headers={"Content-Type": content_type}))
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == body


def test_a_compressed_body_is_handed_on_as_it_came() -> None:
    compressed = b"\x1f\x8b\x08 not really gzip"
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    event = event_of(sent("POST", "/", data=compressed, headers=headers, skip_auto_headers=["Content-Length"]))
    assert base64.b64decode(event["body"]) == compressed


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/v1/a%20b/%C3%A4", "/v1/a b/ä", ""),
        ("/v1/a%3Fb?c=%26", "/v1/a", "c=%26"),
        ("/v1//x/", "/v1//x/", ""),
    ],
)
def test_the_path_is_decoded_and_the_query_is_not(target: str, path: str, query: str) -> None:
    event = event_of(sent("GET", target))
    assert (event["rawPath"], event["rawQueryString"]) == (path, query)


def test_the_request_context_has_the_documented_members() -> None:
    request = sent("GET", "/v1/x", headers={"User-Agent": "curl", "Host": "api.test:8080"})
    context = payload.request_context(
        request, route_key="$default", api_id="abc", stage="$default", request_id="r1"
    )
    assert context["http"] == {
        "method": "GET",
        "path": "/v1/x",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "curl",
    }
    assert (context["domainName"], context["domainPrefix"]) == ("api.test", "api")
    assert (context["requestId"], context["apiId"], context["stage"]) == ("r1", "abc", "$default")
    assert isinstance(context["timeEpoch"], int)
    assert context["time"].endswith(" +0000")


def answered(result: Any) -> web.Response:
    return payload.response(json.dumps(result).encode(), "r1")


def test_a_stated_response_is_sent_as_stated() -> None:
    response = answered(
        {
            "statusCode": 201,
            "headers": {"Content-Type": "application/json", "X-N": 5},
            "body": "{}",
            "cookies": ["a=1; Secure", "b=2"],
        }
    )
    assert (response.status, response.body) == (201, b"{}")
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-n"] == "5"
    assert response.headers.getall("set-cookie") == ["a=1; Secure", "b=2"]
    assert response.headers["apigw-requestid"] == "r1"


def test_a_base64_body_is_decoded() -> None:
    body = base64.b64encode(b"\x00\x01").decode()
    assert answered({"statusCode": 200, "body": body, "isBase64Encoded": True}).body == b"\x00\x01"


def test_a_response_without_a_content_type_is_plain_text() -> None:
    assert answered({"statusCode": 204}).headers["content-type"] == "text/plain;charset=UTF-8"


@pytest.mark.parametrize("result", ["hello", {"a": 1}, [1], None])
def test_a_bare_result_is_the_body_of_a_200(result: Any) -> None:
    response = answered(result)
    assert (response.status, json.loads(bytes(response.body or b""))) == (200, result)
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "result",
    [
        {"statusCode": "many"},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "headers": ["a"]},
        {"statusCode": 200, "body": "é", "isBase64Encoded": True},
        {"statusCode": 99999},
    ],
)
def test_a_malformed_response_is_an_error(result: Any) -> None:
    with pytest.raises(BadResultError):
        answered(result)


def test_refusals_have_the_service_s_own_words() -> None:
    response = payload.refusal(401, "r1")
    assert (response.status, response.body) == (401, b'{"message":"Unauthorized"}')
