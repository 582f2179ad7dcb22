"""The OpenAPI document, the page that shows it, and what is outside of /v1."""

import json
from pathlib import Path

from openapi_spec_validator import validate

from tests.integration.conftest import Client, Service

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_document_is_valid_openapi_and_the_committed_one(service: Service) -> None:
    served = service.client("GET", "/openapi.json").body
    validate(served)
    assert served["openapi"].startswith("3.1")
    assert json.loads(COMMITTED.read_text()) == served, "run make openapi"


def test_every_operation_names_its_scope_and_its_errors(service: Service) -> None:
    for path, item in service.client("GET", "/openapi.json").body["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], (method, path)
            if path.startswith("/v1/"):
                assert operation["security"], (method, path)
                assert {"401", "403"} <= set(operation["responses"]), (method, path)


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
