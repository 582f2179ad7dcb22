"""The schema moves before the code does."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_rds as rds
from constructs import Construct

from infrastructure.function import Function, Platform
from infrastructure.network import Network

TIMEOUT = cdk.Duration.minutes(15)  # Lambda's most: building an index on a big table takes minutes


class Migration(Construct):
    """The migrate function, run by CloudFormation whenever the content of migrations/ has changed.

    CloudFormation calls the function itself and waits for its answer; the CDK's provider framework would
    put two more functions in between.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        platform: Platform,
        network: Network,
        environment: dict[str, str],
        revision: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self.migrate = Function(
            self,
            name="migrate",
            platform=platform,
            placement=network.maintenance,
            environment=environment,
            memory_mib=512,
            timeout=TIMEOUT,
        )
        self._run = cdk.CustomResource(
            self,
            "Run",
            resource_type="Custom::Migration",
            service_token=self.migrate.function_arn,
            # A function that was killed answers nothing; without this CloudFormation waits an hour.
            service_timeout=TIMEOUT.plus(cdk.Duration.minutes(1)),
            properties={"Revision": revision},
        )
        # The rules between two security groups are resources of their own, which nothing else waits for.
        self._run.node.add_dependency(network.database, network.maintenance.security_group)

    def may_look_at_snapshots_of(self, instance: rds.IDatabaseInstance) -> None:
        """What destroys rows is only migrated while there is a snapshot to go back to. RDS asks about both."""
        snapshots = cdk.Stack.of(self).format_arn(
            service="rds", resource="snapshot", resource_name="*", arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
        )
        self.migrate.add_to_role_policy(
            iam.PolicyStatement(actions=["rds:DescribeDBSnapshots"], resources=[instance.instance_arn, snapshots])
        )
        rule = "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:rds:<AWS::Region>:<AWS::AccountId>:snapshot:*]"
        reason = "Snapshots are named by whoever makes them, RDS among them; the action only lists them."
        cdk.Validations.of(self).acknowledge(cdk.Acknowledgment(id=rule, reason=reason))

    def runs_before(self, function: lambda_.Function) -> None:
        """Let `function` (and so all that refers to it) change only after the schema has."""
        resource = function.node.default_child
        run = self._run.node.default_child
        if not isinstance(resource, cdk.CfnResource) or not isinstance(run, cdk.CfnResource):
            raise TypeError("a function and a custom resource each have a CloudFormation resource")
        resource.add_resource_dependency(run)
