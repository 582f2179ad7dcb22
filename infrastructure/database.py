"""Postgres, and the proxy that lends its connections to the functions."""

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infrastructure.config import Stage
from infrastructure.network import POSTGRES, Network

NAME = "hookline"
ADMIN_USER = "hookline_admin"  # owns the schema; only the migrate function logs in as it
APP_USER = "hookline_app"  # reads and writes rows, through the proxy
MAINTAIN_USER = "hookline_maintain"  # creates and drops partitions, on the instance

# Where the asset has the certificates that RDS signs instances with. The proxy's are signed publicly.
CA_FILE = "/var/task/infrastructure/rds-roots.pem"

# uuidv7() needs 18. The minor is the one the local runtime's wheel carries; aws_cdk knows older ones only.
ENGINE = rds.DatabaseInstanceEngine.postgres(version=rds.PostgresEngineVersion.of("18.6", "18"))

PARAMETERS = {
    "rds.force_ssl": "1",  # RDS's default since 15, stated because tokens travel as passwords
    "jit": "0",  # statements take a millisecond; compiling one over many partitions takes a hundred
    "random_page_cost": "1.1",  # gp3 reads at random as fast as in order; 4 makes the planner scan tables
    "idle_in_transaction_session_timeout": "60000",  # ms; a function that died must not hold its locks a day
    "track_io_timing": "1",  # Database Insights then tells waiting for storage from working
}


class Database(Construct):
    """An encrypted Postgres instance and an RDS Proxy with IAM authentication from end to end."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, network: Network, key: kms.IKey
    ) -> None:
        super().__init__(scope, construct_id)
        self.instance = self._instance(stage, network, key)
        self.proxy = self._proxy(stage, network)

    def _instance(self, stage: Stage, network: Network, key: kms.IKey) -> rds.DatabaseInstance:
        credentials = rds.Credentials.from_generated_secret(ADMIN_USER, encryption_key=key)
        instance = rds.DatabaseInstance(
            self,
            "Instance",
            engine=ENGINE,
            instance_type=ec2.InstanceType(stage.database_class),
            database_name=NAME,
            credentials=credentials,
            iam_authentication=True,
            vpc=network.vpc,
            vpc_subnets=network.data_subnets,
            security_groups=[network.database],
            port=POSTGRES,
            publicly_accessible=False,
            ca_certificate=rds.CaCertificate.RDS_CA_RSA2048_G1,
            parameters=PARAMETERS,
            multi_az=stage.multi_az,
            storage_type=rds.StorageType.GP3,  # 3000 IOPS at any size, which gp2 has from 1 TB
            allocated_storage=stage.storage_gib,
            max_allocated_storage=stage.storage_limit_gib,
            storage_encrypted=True,
            storage_encryption_key=key,
            backup_retention=cdk.Duration.days(14),  # point-in-time recovery (PRODUCT.md D12)
            preferred_backup_window="02:00-02:30",  # UTC; may not touch the maintenance window below
            preferred_maintenance_window="sun:03:00-sun:04:00",
            copy_tags_to_snapshot=True,
            auto_minor_version_upgrade=True,  # security fixes come in the window, not with the next release
            database_insights_mode=rds.DatabaseInsightsMode.STANDARD,  # seven days of history, free
            enable_performance_insights=True,  # what the API still calls the collection behind Insights
            performance_insight_encryption_key=key,
            deletion_protection=stage.protect_data,
            delete_automated_backups=not stage.protect_data,
            removal_policy=cdk.RemovalPolicy.SNAPSHOT if stage.protect_data else cdk.RemovalPolicy.DESTROY,
        )
        self._acknowledge(instance, stage)
        return instance

    def _proxy(self, stage: Stage, network: Network) -> rds.DatabaseProxy:
        role = iam.Role(
            self,
            "ProxyRole",
            assumed_by=iam.ServicePrincipal("rds.amazonaws.com"),
            description="Lets the proxy log in to Postgres as the application user, and as no other",
        )
        self.instance.grant_connect(role, APP_USER)
        return rds.DatabaseProxy(
            self,
            "Proxy",
            db_proxy_name=f"hookline-{stage.name}",
            proxy_target=rds.ProxyTarget.from_instance(self.instance),
            default_auth_scheme=rds.DefaultAuthScheme.IAM_AUTH,  # no database password exists to be stolen
            role=role,
            require_tls=True,
            vpc=network.vpc,
            vpc_subnets=network.data_subnets,
            security_groups=[network.proxy],
            # Waiting longer than this ends in the API's own time limit (29 s), without an answer of ours.
            borrow_timeout=cdk.Duration.seconds(10),
            # A frozen function keeps its connection; the functions recycle theirs before this.
            idle_client_timeout=cdk.Duration.minutes(30),
            max_connections_percent=80,  # the rest is for maintain, migrate and a person with psql
            max_idle_connections_percent=40,
        )

    def _acknowledge(self, instance: rds.DatabaseInstance, stage: Stage) -> None:
        reasons = {
            "AwsSolutions-RDS11": "The port is no secret: two security groups reach it, and TLS is forced.",
            "AwsSolutions-SMG4": "Only migrate reads it; rotating it would need a function of AWS's own.",
        }
        if not stage.multi_az:
            reasons["AwsSolutions-RDS3"] = "This stage may be down for as long as a restore takes."
        if not stage.protect_data:
            reasons["AwsSolutions-RDS10"] = "This stage is made to be destroyed and made again."
        for rule, reason in reasons.items():
            cdk.Validations.of(instance).acknowledge(cdk.Acknowledgment(id=rule, reason=reason))

    @property
    def admin_secret(self) -> secretsmanager.ISecret:
        """`{"username", "password", …}` of the master user."""
        if self.instance.secret is None:
            raise RuntimeError("an instance with generated credentials has a secret")
        return self.instance.secret

    def through_proxy(self) -> dict[str, str]:
        """The environment of a function that works as the application user."""
        return _environment(host=self.proxy.endpoint, user=APP_USER)

    def on_instance(self, *, user: str) -> dict[str, str]:
        """The environment of a function that needs what a proxy cannot give: long locks, DDL, vacuum."""
        host = self.instance.db_instance_endpoint_address
        return _environment(host=host, user=user) | {"DATABASE_CA_FILE": CA_FILE}


def _environment(*, host: str, user: str) -> dict[str, str]:
    return {
        "DATABASE_HOST": host,
        "DATABASE_PORT": str(POSTGRES),
        "DATABASE_NAME": NAME,
        "DATABASE_USER": user,
    }
