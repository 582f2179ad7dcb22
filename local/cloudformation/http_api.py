"""The template's HTTP API: its routes, what they invoke, who may pass, and how often."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.cloudformation import attributes
from local.cloudformation.resources import function_in
from local.cloudformation.template import Resource, Template, TemplateError

INTEGRATION_SECONDS = 30.0  # HTTP API's longest integration timeout, and its default
AUTHORIZER_TTL_SECONDS = 300  # CloudFormation's default


@dataclass(frozen=True)
class AuthorizerSpec:
    authorizer_id: str
    function: str
    identity_sources: tuple[str, ...]  # $request.header.<name> or $request.querystring.<name>
    ttl: int  # seconds; 0 caches nothing


@dataclass(frozen=True)
class Throttle:
    rate: float  # requests a second
    burst: int


@dataclass(frozen=True)
class RouteSpec:
    key: str  # "ANY /v1/{proxy+}", "GET /health", "$default"
    function: str
    timeout: float  # seconds
    authorizer: AuthorizerSpec | None
    throttle: Throttle | None


@dataclass(frozen=True)
class HttpApiSpec:
    api_id: str
    stage: str
    routes: tuple[RouteSpec, ...]


def http_api(template: Template) -> HttpApiSpec:
    """The stack's one HTTP API. Raises TemplateError when there is no such one, or it cannot run here."""
    apis, stages = (list(template.of_type(f"AWS::ApiGatewayV2::{kind}")) for kind in ("Api", "Stage"))
    if len(apis) != 1 or len(stages) != 1:
        raise TemplateError(f"one HTTP API with one stage runs here, not {len(apis)} with {len(stages)}")
    api = apis[0].only("Name", "ProtocolType", ignored=("DisableExecuteApiEndpoint", "IpAddressType"))
    if api.require("ProtocolType") != "HTTP":
        raise TemplateError(f"{api.logical_id}.ProtocolType: only HTTP runs here")
    stage = stages[0].only(
        *("ApiId", "StageName", "DefaultRouteSettings", "RouteSettings"),
        ignored=("AutoDeploy", "AccessLogSettings", "DeploymentId"),
    )
    if stage.require("StageName") != "$default":
        raise TemplateError(f"{stage.logical_id}.StageName: only $default, which adds nothing to paths, runs here")
    routes = [_route(route, stage) for route in template.of_type("AWS::ApiGatewayV2::Route")]
    return HttpApiSpec(attributes.api_id(api), "$default", tuple(routes))


def _route(route: Resource, stage: Resource) -> RouteSpec:
    route.only("ApiId", "RouteKey", "Target", "AuthorizationType", "AuthorizerId")
    key = str(route.require("RouteKey"))
    integration = route.template.resource(str(route.require("Target")).removeprefix("integrations/"))
    integration.only(
        *("ApiId", "IntegrationType", "IntegrationUri", "PayloadFormatVersion", "TimeoutInMillis"),
        ignored=("IntegrationMethod", "ConnectionType", "CredentialsArn"),
    )
    if str(integration.require("PayloadFormatVersion")) != "2.0":
        raise TemplateError(f"{integration.logical_id}.PayloadFormatVersion: only 2.0 runs here")
    return RouteSpec(
        key=key,
        function=function_in(str(integration.require("IntegrationUri"))),
        timeout=int(integration.get("TimeoutInMillis", INTEGRATION_SECONDS * 1000)) / 1000,
        authorizer=_authorizer(route),
        throttle=_throttle(stage.get("RouteSettings", {}).get(key) or stage.get("DefaultRouteSettings", {})),
    )


def _authorizer(route: Resource) -> AuthorizerSpec | None:
    kind = route.get("AuthorizationType", "NONE")
    if kind == "NONE":
        return None
    if kind != "CUSTOM":
        raise TemplateError(f"{route.logical_id}.AuthorizationType: {kind} does not run here")
    authorizer = route.template.resource(str(route.require("AuthorizerId")))
    authorizer.only(
        *("ApiId", "AuthorizerType", "AuthorizerUri", "AuthorizerPayloadFormatVersion", "IdentitySource"),
        *("AuthorizerResultTtlInSeconds", "EnableSimpleResponses"),
        ignored=("Name", "AuthorizerCredentialsArn"),
    )
    if authorizer.get("AuthorizerPayloadFormatVersion") != "2.0" or not authorizer.get("EnableSimpleResponses"):
        raise TemplateError(f"{authorizer.logical_id}: only payload format 2.0 with simple responses runs here")
    return AuthorizerSpec(
        authorizer_id=authorizer.logical_id,
        function=function_in(str(authorizer.require("AuthorizerUri"))),
        identity_sources=tuple(
            _identity_source(source, authorizer) for source in authorizer.get("IdentitySource", [])
        ),
        ttl=int(authorizer.get("AuthorizerResultTtlInSeconds", AUTHORIZER_TTL_SECONDS)),
    )


def _identity_source(source: Any, authorizer: Resource) -> str:
    if not str(source).startswith(("$request.header.", "$request.querystring.")):
        raise TemplateError(f"{authorizer.logical_id}.IdentitySource: {source} does not run here")
    return str(source)


def _throttle(settings: Mapping[str, Any]) -> Throttle | None:
    rate, burst = settings.get("ThrottlingRateLimit"), settings.get("ThrottlingBurstLimit")
    return None if rate is None or burst is None else Throttle(float(rate), int(burst))
