"""Routes and authorizer, as the local gateway reads them."""

import json
from fnmatch import fnmatchcase

from tests.infrastructure.synthesized import Template, referred

ROUTE = "AWS::ApiGatewayV2::Route"


def test_v1_takes_a_key_and_the_rest_takes_none(template: Template) -> None:
    routes = {r["Properties"]["RouteKey"]: r["Properties"] for r in template.of_type(ROUTE).values()}
    assert routes.keys() == {"ANY /v1/{proxy+}", "$default"}
    assert routes["ANY /v1/{proxy+}"]["AuthorizationType"] == "CUSTOM"
    assert routes["$default"]["AuthorizationType"] == "NONE"
    assert "AuthorizerId" not in routes["$default"]


def test_both_routes_go_to_the_api_function(template: Template) -> None:
    [(logical_id, integration)] = template.of_type("AWS::ApiGatewayV2::Integration").items()
    for route in template.of_type(ROUTE).values():
        assert route["Properties"]["Target"] == {"Fn::Join": ["", ["integrations/", {"Ref": logical_id}]]}
    assert integration["Properties"]["IntegrationType"] == "AWS_PROXY"
    assert integration["Properties"]["IntegrationUri"] == {"Fn::GetAtt": [template.function("api")[0], "Arn"]}
    assert integration["Properties"]["PayloadFormatVersion"] == "2.0"


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


def test_the_api_may_invoke_its_function_on_every_route(template: Template) -> None:
    # `$default` has no path: a permission for */*/* would not fit it, and /health would answer 500.
    permitted = [
        permission["Properties"]["SourceArn"]["Fn::Join"][1][-1]
        for permission in template.of_type("AWS::Lambda::Permission").values()
        if template.function("api")[0] in referred(permission["Properties"]["FunctionName"])
    ]
    for invoked in ("/$default/$default", "/$default/*/v1/{proxy+}"):
        assert any(fnmatchcase(invoked, pattern) for pattern in permitted)


def test_the_stage_is_the_root_with_throttling_and_a_log(template: Template) -> None:
    stage = template.only("AWS::ApiGatewayV2::Stage")["Properties"]
    assert stage["StageName"] == "$default"
    assert stage["AutoDeploy"] is True
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0
    assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] > 0
    line = json.loads(stage["AccessLogSettings"]["Format"])
    assert {"request_id", "route", "status", "latency_ms"} <= line.keys()
    assert not any("authorization" in value.lower() for value in line.values())


def test_browsers_of_other_sites_get_nothing(template: Template) -> None:
    api = template.only("AWS::ApiGatewayV2::Api")["Properties"]
    assert api["ProtocolType"] == "HTTP"
    assert "CorsConfiguration" not in api


def test_functions_end_before_the_gateway_gives_up(template: Template) -> None:
    assert template.function("authorizer")[1]["Timeout"] < 10
    assert template.function("api")[1]["Timeout"] < 30
