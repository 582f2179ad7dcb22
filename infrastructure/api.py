"""The HTTP API, its authorizer and the functions behind it."""

import json

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_logs as logs
from constructs import Construct

from infrastructure.config import Stage
from infrastructure.function import Function, Platform
from infrastructure.network import Placement

ANSWER_CACHE = cdk.Duration.seconds(60)  # how long a revoked key may still work (PRODUCT.md, DESIGN.md)

ACCESS_LOG = {
    "request_id": "$context.requestId",
    "time": "$context.requestTime",
    "source_ip": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "route": "$context.routeKey",
    "status": "$context.status",
    "response_bytes": "$context.responseLength",
    "latency_ms": "$context.responseLatency",
    "integration_latency_ms": "$context.integrationLatency",
    "integration_error": "$context.integrationErrorMessage",
    "authorizer_error": "$context.authorizer.error",
}


INBOUND = "/in/{source_id}"


class Api(Construct):
    """`ANY /v1/{proxy+}` for callers with a key, `ANY /in/{source_id}` for senders, which sign what they post, and
    `$default` for health, documents and a 404 of our own.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        platform: Platform,
        placement: Placement,
        api_environment: dict[str, str],
        authorizer_environment: dict[str, str],
        receive_environment: dict[str, str],
    ) -> None:
        super().__init__(scope, construct_id)
        self.authorizer = Function(
            self,
            name="authorizer",
            platform=platform,
            placement=placement,
            environment=authorizer_environment,
            memory_mib=512,  # one hash and one query; more only shortens the start
            timeout=cdk.Duration.seconds(9),  # HTTP API itself waits 10 s for an authorizer
        )
        self.api = Function(
            self,
            name="api",
            platform=platform,
            placement=placement,
            environment=api_environment,
            memory_mib=1024,  # the start is CPU-bound, and a batch of 500 events is 6 MB of JSON
            timeout=cdk.Duration.seconds(29),  # HTTP API ends a request at 30 s; ours must answer before
        )
        self.receive = Function(
            self,
            name="receive",
            platform=platform,
            placement=placement,
            environment=receive_environment,
            memory_mib=1024,  # as api: a sender waits for the start, too, and posts up to 5 MiB
            timeout=cdk.Duration.seconds(29),
        )
        self.http_api = apigateway.HttpApi(
            self,
            "HttpApi",
            api_name=f"hookline-{platform.stage.name}",
            create_default_stage=False,  # the stage below has throttling and a log
        )
        self._routes()
        self._stage(platform.stage)

    def _routes(self) -> None:
        to_api = integrations.HttpLambdaIntegration(
            "ApiIntegration",
            self.api,
            payload_format_version=apigateway.PayloadFormatVersion.VERSION_2_0,
        )
        self.http_api.add_routes(
            path="/v1/{proxy+}",
            methods=[apigateway.HttpMethod.ANY],
            integration=to_api,
            authorizer=authorizers.HttpLambdaAuthorizer(
                "KeyAuthorizer",
                self.authorizer,
                authorizer_name="api-key",
                response_types=[authorizers.HttpLambdaResponseType.SIMPLE],
                identity_source=["$request.header.Authorization"],
                results_cache_ttl=ANSWER_CACHE,
            ),
        )
        # Any method, so that another than POST is answered in our shape.
        [inbound] = self.http_api.add_routes(
            path=INBOUND,
            methods=[apigateway.HttpMethod.ANY],
            integration=integrations.HttpLambdaIntegration(
                "ReceiveIntegration",
                self.receive,
                payload_format_version=apigateway.PayloadFormatVersion.VERSION_2_0,
            ),
        )
        self._inbound = inbound
        cdk.Validations.of(inbound).acknowledge(
            cdk.Acknowledgment(
                id="AwsSolutions-APIG4",
                reason="Senders have no key of ours: receive verifies the signature that each of them makes.",
            )
        )
        default = apigateway.HttpRoute(
            self,
            "DefaultRoute",
            http_api=self.http_api,
            route_key=apigateway.HttpRouteKey.DEFAULT,
            integration=to_api,
        )
        cdk.Validations.of(default).acknowledge(
            cdk.Acknowledgment(
                id="AwsSolutions-APIG4",
                reason="Health, the OpenAPI document and the 404 are for everybody; nothing else is here.",
            )
        )

    def _stage(self, stage: Stage) -> None:
        group = logs.LogGroup(
            self,
            "AccessLog",
            # Under this prefix a log needs no statement of its own in the account's limited log policy.
            log_group_name=f"/aws/vendedlogs/hookline-{stage.name}-api",
            retention=logs.RetentionDays[stage.log_retention],
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        made = apigateway.CfnStage(
            self,
            "Stage",
            api_id=self.http_api.api_id,
            stage_name="$default",  # no stage in the path
            auto_deploy=True,
            default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=stage.api_requests_per_second,
                throttling_burst_limit=stage.api_burst,
            ),
            # Anybody may knock there: it takes nothing away from callers who have a key.
            route_settings={
                f"ANY {INBOUND}": {
                    "ThrottlingRateLimit": stage.inbound_requests_per_second,
                    "ThrottlingBurstLimit": stage.inbound_burst,
                }
            },
            access_log_settings=apigateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=group.log_group_arn, format=json.dumps(ACCESS_LOG)
            ),
        )
        made.node.add_dependency(self._inbound)  # settings of a route that is not there yet are refused
