from typing import Any

import pytest

from local.cloudformation.http_api import AuthorizerSpec, RouteSpec, Throttle, http_api
from local.cloudformation.template import TemplateError
from tests.unit.local.stacks import function, template


def resources(**changes: dict[str, Any]) -> dict[str, Any]:
    """An HTTP API as CDK writes it; `changes` are properties by logical id."""
    uri = [
        "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/",
        {"Fn::GetAtt": ["Auth", "Arn"]},
        "/invocations",
    ]
    made = {
        "Handler": function("shop-api"),
        "Auth": function("shop-authorizer"),
        "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "shop", "ProtocolType": "HTTP"}},
        "Stage": {
            "Type": "AWS::ApiGatewayV2::Stage",
            "Properties": {
                "ApiId": {"Ref": "Api"},
                "StageName": "$default",
                "AutoDeploy": True,
                "DefaultRouteSettings": {"ThrottlingRateLimit": 500, "ThrottlingBurstLimit": 1000},
                "RouteSettings": {"GET /slow": {"ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 2}},
            },
        },
        "Integration": {
            "Type": "AWS::ApiGatewayV2::Integration",
            "Properties": {
                "ApiId": {"Ref": "Api"},
                "IntegrationType": "AWS_PROXY",
                "IntegrationUri": {"Fn::GetAtt": ["Handler", "Arn"]},
                "PayloadFormatVersion": "2.0",
            },
        },
        "Authorizer": {
            "Type": "AWS::ApiGatewayV2::Authorizer",
            "Properties": {
                "ApiId": {"Ref": "Api"},
                "AuthorizerType": "REQUEST",
                "AuthorizerPayloadFormatVersion": "2.0",
                "EnableSimpleResponses": True,
                "AuthorizerResultTtlInSeconds": 60,
                "IdentitySource": ["$request.header.Authorization"],
                "AuthorizerUri": {"Fn::Join": ["", uri]},
            },
        },
        "Guarded": route("ANY /v1/{proxy+}", AuthorizationType="CUSTOM", AuthorizerId={"Ref": "Authorizer"}),
        "Slow": route("GET /slow"),
    }
    for logical_id, properties in changes.items():
        made[logical_id]["Properties"].update(properties)
    return made


def route(key: str, **properties: Any) -> dict[str, Any]:
    target = {"Fn::Join": ["", ["integrations/", {"Ref": "Integration"}]]}
    return {
        "Type": "AWS::ApiGatewayV2::Route",
        "Properties": {"ApiId": {"Ref": "Api"}, "RouteKey": key, "Target": target, **properties},
    }


def test_routes_are_read_with_what_guards_them() -> None:
    guarded, slow = http_api(template(resources())).routes
    assert guarded == RouteSpec(
        key="ANY /v1/{proxy+}",
        function="shop-api",
        timeout=30,
        authorizer=AuthorizerSpec("Authorizer", "shop-authorizer", ("$request.header.Authorization",), 60),
        throttle=Throttle(500, 1000),
    )
    assert (slow.authorizer, slow.throttle) == (None, Throttle(1, 2))


@pytest.mark.parametrize(
    ("logical_id", "properties"),
    [
        ("Api", {"CorsConfiguration": {"AllowOrigins": ["*"]}}),
        ("Api", {"ProtocolType": "WEBSOCKET"}),
        ("Stage", {"StageName": "prod"}),
        ("Integration", {"PayloadFormatVersion": "1.0"}),
        ("Integration", {"RequestParameters": {"a": "b"}}),
        ("Authorizer", {"AuthorizerPayloadFormatVersion": "1.0"}),
        ("Authorizer", {"EnableSimpleResponses": False}),
        ("Authorizer", {"IdentitySource": ["$context.routeKey"]}),
        ("Guarded", {"AuthorizationType": "JWT"}),
    ],
)
def test_what_does_not_run_here_is_an_error_that_names_the_resource(logical_id: str, properties: Any) -> None:
    with pytest.raises(TemplateError, match=logical_id):
        http_api(template(resources(**{logical_id: properties})))


def test_a_stack_without_an_http_api_does_not_run_here() -> None:
    with pytest.raises(TemplateError, match="one HTTP API"):
        http_api(template({}))
