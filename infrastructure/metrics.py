"""Hookline's own metrics: lines of the functions' logs, and the function that makes rows of them."""

from collections.abc import Iterable

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from aws_cdk import aws_logs_destinations as destinations
from constructs import Construct

from infrastructure.function import Function, Platform
from infrastructure.network import Placement

# What functions/adapters/measuring.py and timing.py write, and nothing else of a log.
KINDS = ("requests", "operations", "statements")
PATTERN = logs.FilterPattern.any(*(logs.FilterPattern.string_value("$.metric", "=", kind) for kind in KINDS))
# Two at a time store some thousand rows a second. More would only take connections from those whose work is
# measured: what waits, waits in Lambda's own queue.
CONCURRENCY = 2


class Metrics(Construct):
    """The function `metrics`, and a subscription for each log that it is to read.

    Its own log has none: what it says of itself would come back to it for ever (CloudWatch Logs, "Log recursion
    prevention"). What fails three times is dropped, without a queue for it: metrics may be lost, and the lines
    stay in their log for as long as any other.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        platform: Platform,
        placement: Placement,
        environment: dict[str, str],
    ) -> None:
        super().__init__(scope, construct_id)
        self.metrics = Function(
            self,
            name="metrics",
            platform=platform,
            placement=placement,
            environment=environment,
            memory_mib=512,
            timeout=cdk.Duration.seconds(60),
            retry_attempts=2,
            max_event_age=cdk.Duration.hours(6),  # Lambda's most, for what waits because two are at work
            reserved_concurrency=CONCURRENCY if platform.stage.metrics else None,
        )

    def subscribe(self, functions: Iterable[Function]) -> None:
        """Read the logs of these functions. A log takes two subscriptions: one is left for whoever runs this."""
        for function in functions:
            logs.SubscriptionFilter(
                self,
                f"{function.node.id}Lines",
                log_group=function.log_group,
                destination=destinations.LambdaDestination(self.metrics),
                filter_name="metrics",
                filter_pattern=PATTERN,
            )
