"""Routes and authorizer, as the local gateway reads them."""

import json
from fnmatch import fnmatchcase

import pytest

from tests.infrastructure.synthesized import Template, as_list, referred

ROUTE = "AWS::ApiGatewayV2::Route"
INBOUND = "ANY /in/{source_id}"


def test_v1_takes_a_key_and_the_rest_takes_none(template: Template) -> None:
    routes = {r["Properties"]["RouteKey"]: r["Properties"] for r in template.of_type(ROUTE).values()}
    assert routes.keys() == {"ANY /v1/{proxy+}", INBOUND, "$default"}
    assert routes["ANY /v1/{proxy+}"]["AuthorizationType"] == "CUSTOM"
    for open_to_all in (INBOUND, "$default"):
        assert routes[open_to_all].get("AuthorizationType", "NONE") == "NONE"
        assert "AuthorizerId" not in routes[open_to_all]


@pytest.mark.parametrize(
    ("route", "function"), [("ANY /v1/{proxy+}", "api"), ("$default", "api"), (INBOUND, "receive")]
)
def test_each_route_goes_to_its_function(template: Template, route: str, function: str) -> None:
    _, found = template.named(ROUTE, "RouteKey", route)
    slash, target = found["Properties"]["Target"]["Fn::Join"][1]
    assert slash == "integrations/"
    integration = template.of_type("AWS::ApiGatewayV2::Integration")[target["Ref"]]["Properties"]
    assert integration["IntegrationType"] == "AWS_PROXY"
    assert integration["IntegrationUri"] == {"Fn::GetAtt": [template.function(function)[0], "Arn"]}
    assert integration["PayloadFormatVersion"] == "2.0"


def test_the_authorizer_answers_simply_and_is_cached_for_a_minute(template: Template) -> None:
    [(logical_id, authorizer)] = template.of_type("AWS::ApiGatewayV2::Authorizer").items()
    properties = authorizer["Properties"]
    assert properties["AuthorizerType"] == "REQUEST"
    assert properties["AuthorizerPayloadFormatVersion"] == "2.0"
    assert properties["EnableSimpleResponses"] is True
    assert properties["IdentitySource"] == ["$request.header.Authorization"]
    assert properties["AuthorizerResultTtlInSeconds"] == 60
    assert template.function("authorizer")[0] in referred(properties["AuthorizerUri"])
    _, route = template.named(ROUTE, "RouteKey", "ANY /v1/{proxy+}")
    assert route["Properties"]["AuthorizerId"] == {"Ref": logical_id}


@pytest.mark.parametrize(
    ("function", "routes"),
    [
        # `$default` has no path: a permission for */*/* would not fit it, and /health would answer 500.
        ("api", ("/$default/$default", "/$default/*/v1/{proxy+}")),
        ("receive", ("/$default/*/in/{source_id}",)),
    ],
)
def test_the_api_may_invoke_its_functions_on_every_route(
    template: Template, function: str, routes: tuple[str, ...]
) -> None:
    permitted = [
        permission["Properties"]["SourceArn"]["Fn::Join"][1][-1]
        for permission in template.of_type("AWS::Lambda::Permission").values()
        if template.function(function)[0] in referred(permission["Properties"]["FunctionName"])
    ]
    for invoked in routes:
        assert any(fnmatchcase(invoked, pattern) for pattern in permitted)


def test_the_stage_is_the_root_with_throttling_and_a_log(template: Template) -> None:
    stage = template.only("AWS::ApiGatewayV2::Stage")["Properties"]
    assert stage["StageName"] == "$default"
    assert stage["AutoDeploy"] is True
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0
    assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] > 0
    [(route, limits)] = stage["RouteSettings"].items()
    assert route == INBOUND
    assert limits.keys() == {"ThrottlingRateLimit", "ThrottlingBurstLimit"}
    assert template.named(ROUTE, "RouteKey", route)[0] in as_list(
        template.only("AWS::ApiGatewayV2::Stage")["DependsOn"]
    )
    line = json.loads(stage["AccessLogSettings"]["Format"])
    assert {"request_id", "route", "status", "latency_ms"} <= line.keys()
    assert not any("authorization" in value.lower() for value in line.values())


def test_browsers_of_other_sites_get_nothing(template: Template) -> None:
    api = template.only("AWS::ApiGatewayV2::Api")["Properties"]
    assert api["ProtocolType"] == "HTTP"
    assert "CorsConfiguration" not in api


def test_functions_end_before_the_gateway_gives_up(template: Template) -> None:
    assert template.function("authorizer")[1]["Timeout"] < 10
    for name in ("api", "receive"):
        assert template.function(name)[1]["Timeout"] < 30
