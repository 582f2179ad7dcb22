"""What is outside of /v1. The OpenAPI document has tests of its own (tests/contract)."""

from tests.integration.conftest import Client, Service


def test_the_document_needs_no_key() -> None:
    answer = Client()("GET", "/openapi.json")
    assert (answer.status, answer.body["openapi"]) == (200, "3.1.0")


def test_the_page_needs_no_key_and_nothing_from_elsewhere() -> None:
    page = Client()("GET", "/docs")
    assert page.status == 200
    assert "text/html" in page.headers["Content-Type"]
    assert 'src="http' not in page.body


def test_unknown_paths_have_the_error_shape(service: Service) -> None:
    for path in ("/", "/nothing", "/v1/nothing"):
        answer = service.client("GET", path)
        assert (answer.status, answer.body["error"]["code"]) == (404, "not_found")


def test_health(service: Service) -> None:
    answer = Client()("GET", "/health")
    assert (answer.status, answer.body) == (200, {"status": "healthy"})


def test_every_answer_carries_a_correlation_id(service: Service) -> None:
    sent = service.client("GET", "/v1/webhooks", headers={"hookline-correlation-id": "mine.1"})
    assert sent.headers["hookline-correlation-id"] == "mine.1"
    unusable = service.client("GET", "/v1/webhooks", headers={"hookline-correlation-id": "not usable\r\n"})
    assert unusable.headers["hookline-correlation-id"] != "not usable\r\n"
