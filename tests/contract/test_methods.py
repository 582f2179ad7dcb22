"""Methods that a path does not have (RFC 9110, 9 and 15.5.6)."""

from tests.contract.documented import load, operations
from tests.integration.conftest import Client, Service

OPERATIONS = list(operations(load()))
PATHS = sorted({one.path for one in OPERATIONS})
ID = "01a1f8df-c445-7d27-83ba-de6472adf856"


def methods_of(path: str) -> set[str]:
    return {one.method for one in OPERATIONS if one.path == path}


def filled(path: str) -> str:
    """The path with an id in every place of one."""
    return "/".join(ID if part.startswith("{") else part for part in path.split("/"))


def allowed(header: str) -> set[str]:
    return {method.strip() for method in header.split(",")}


def test_another_method_is_refused_with_those_that_there_are(service: Service) -> None:
    for path in PATHS:
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY"} - methods_of(path):
            answer = service.client(method, filled(path))
            assert answer.status == 405, (method, path, answer.body)
            assert answer.body["error"]["code"] == "method_not_allowed"
            assert allowed(answer.headers["allow"]) - {"HEAD", "OPTIONS"} == methods_of(path), path
            assert answer.body["error"]["request_id"]


def test_options_says_the_methods(service: Service) -> None:
    for path in PATHS:
        answer = service.client("OPTIONS", filled(path))
        assert (answer.status, answer.body) == (204, ""), path
        assert allowed(answer.headers["allow"]) - {"HEAD", "OPTIONS"} == methods_of(path), path


def test_head_is_get_without_the_body(service: Service) -> None:
    for path in ("/health", "/openapi.json", "/docs", "/v1/webhooks", "/v1/deliveries"):
        got, asked = service.client("GET", path), service.client("HEAD", path)
        assert (asked.status, asked.body) == (got.status, ""), path
        assert asked.headers["Content-Type"] == got.headers["Content-Type"]


def test_head_of_what_is_not_there_is_404_and_of_what_cannot_be_read_405(service: Service) -> None:
    assert service.client("HEAD", f"/v1/webhooks/{ID}").status == 404
    assert service.client("HEAD", "/v1/nothing").status == 404
    assert service.client("HEAD", "/v1/events/batch").status == 405


def test_without_a_key_no_method_is_said(service: Service) -> None:
    for method in ("PUT", "OPTIONS", "HEAD"):
        answer = Client()(method, "/v1/webhooks")
        assert answer.status == 401
        assert "allow" not in answer.headers


def test_a_body_that_has_no_meaning_is_not_read(service: Service) -> None:
    sent = {"content-type": "text/plain", "content-encoding": "gzip"}
    for method, path in (("GET", "/v1/webhooks"), ("DELETE", f"/v1/webhooks/{ID}")):
        plain = service.client(method, path)
        assert service.client(method, path, raw="\x00{", headers=sent).status == plain.status
