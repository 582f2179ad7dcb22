"""What only the whole service shows: the gateway's own answers, and the page that shows the document."""

import re

import requests
from openapi_spec_validator import validate

from tests.contract.documented import Document
from tests.e2e.service import Service as Running


def test_the_service_serves_the_document(running: Running, document: Document) -> None:
    served = requests.get(f"{running['api_url']}/openapi.json", timeout=30)
    assert served.headers["content-type"] == "application/json"
    validate(served.json())
    assert served.json() == document


def test_without_an_authorization_header_the_gateway_answers_in_its_own_shape(running: Running) -> None:
    answer = requests.get(f"{running['api_url']}/v1/webhooks", timeout=30)
    assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})


def test_with_an_unknown_key_the_answer_is_ours(running: Running) -> None:
    for value in ("Bearer", "Bearer nothing", "Basic dXNlcjpwYXNz", "hl_x_y"):
        answer = requests.get(f"{running['api_url']}/v1/webhooks", headers={"authorization": value}, timeout=30)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized"), value


def test_a_method_that_no_path_has_is_refused_through_the_gateway(running: Running) -> None:
    for method in ("PUT", "TRACE"):
        answer = running.request(method, "/v1/webhooks")
        assert answer.status_code == 405, (method, answer.text)
        assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


def test_the_page_has_everything_from_this_service_and_no_inline_script(running: Running) -> None:
    page = requests.get(f"{running['api_url']}/docs", timeout=30)
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert re.findall(r"<script(?! src=)", page.text) == []
    assert "on" not in re.findall(r"\s(on)\w+=", page.text)
    wanted = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(wanted) == 3
    for path in wanted:
        part = requests.get(f"{running['api_url']}/{path}", timeout=30)
        assert part.status_code == 200, path
        assert part.headers["content-encoding"] == "gzip"
        assert part.headers["x-content-type-options"] == "nosniff"
        assert ("css" if path.endswith("css") else "javascript") in part.headers["content-type"]
        assert part.content
    assert requests.get(f"{running['api_url']}/docs/other.js", timeout=30).status_code == 404
