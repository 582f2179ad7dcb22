import pytest

from local.cloudformation.http_api import RouteSpec
from local.gateway.routes import matcher

KEYS = [
    "$default",
    "ANY /v1/{proxy+}",
    "GET /v1/pets/{id}",
    "ANY /v1/pets/{id}",
    "GET /v1/pets/dog",
    "POST /v1/pets/{id}/toys",
    "GET /",
]


def route(key: str) -> RouteSpec:
    return RouteSpec(key=key, function="api", timeout=30, authorizer=None, throttle=None)


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/v1/pets/dog", "GET /v1/pets/dog", {}),
        ("POST", "/v1/pets/dog", "ANY /v1/pets/{id}", {"id": "dog"}),
        ("GET", "/v1/pets/6", "GET /v1/pets/{id}", {"id": "6"}),
        ("PUT", "/v1/pets/6", "ANY /v1/pets/{id}", {"id": "6"}),
        ("POST", "/v1/pets/6/toys", "POST /v1/pets/{id}/toys", {"id": "6"}),
        ("GET", "/v1/pets/6/toys", "ANY /v1/{proxy+}", {"proxy": "pets/6/toys"}),
        ("GET", "/v1/events/", "ANY /v1/{proxy+}", {"proxy": "events/"}),
        ("GET", "/v1/a b", "ANY /v1/{proxy+}", {"proxy": "a b"}),
        ("GET", "/v1", "$default", {}),
        ("GET", "/v1/", "$default", {}),
        ("GET", "/", "GET /", {}),
        ("POST", "/", "$default", {}),
        ("GET", "/health", "$default", {}),
    ],
)
def test_the_most_specific_route_answers(method: str, path: str, key: str, parameters: dict[str, str]) -> None:
    for keys in (KEYS, KEYS[::-1]):  # whatever their order in the template
        match = matcher([route(key) for key in keys])(method, path)
        assert match is not None
        assert (match.route.key, match.parameters) == (key, parameters)


def test_without_a_default_route_nothing_answers() -> None:
    assert matcher([route("GET /health")])("GET", "/other") is None
    assert matcher([route("GET /health")])("POST", "/health") is None
