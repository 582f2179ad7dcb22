"""The stack: which constructs there are, what each is told, and who may do what."""

from collections.abc import Iterable
from dataclasses import asdict

import aws_cdk as cdk
from constructs import Construct

from infrastructure import database, packaging
from infrastructure.api import Api
from infrastructure.config import USUAL, Stage
from infrastructure.dashboard import Dashboard
from infrastructure.database import Database
from infrastructure.function import Function, Platform
from infrastructure.metrics import Metrics
from infrastructure.migration import Migration
from infrastructure.monitoring import FIVE_MINUTES, Monitoring
from infrastructure.network import Network
from infrastructure.queues import Queues
from infrastructure.schedules import Schedules
from infrastructure.storage import Storage
from infrastructure.workers import Workers


class HooklineStack(cdk.Stack):
    """All of Hookline in one stack, so that one deployment is one version of everything."""

    def __init__(self, scope: Construct, *, stage: Stage) -> None:
        super().__init__(
            scope,
            f"hookline-{stage.name}",
            description=f"Hookline ({stage.name}): webhook delivery from your own account",
            termination_protection=stage.protect_data,
            tags={"service": "hookline", "stage": stage.name},
        )
        self.network = Network(self, "Network", stage=stage)
        self.storage = Storage(self, "Storage", stage=stage)
        self.database = Database(self, "Database", stage=stage, network=self.network, key=self.storage.key)
        self.queues = Queues(self, "Queues", stage=stage)
        platform = Platform(stage=stage, vpc=self.network.vpc, code=packaging.code())
        self.migration = self._migration(platform)
        self.api = self._api(platform)
        self.workers = self._workers(platform)
        self.metrics = Metrics(
            self,
            "Metrics",
            platform=platform,
            placement=self.network.functions,
            environment=self.database.through_proxy(),
        )
        if stage.metrics:
            self.metrics.subscribe(self._measured)
        self.schedules = Schedules(
            self,
            "Schedules",
            stage=stage,
            dispatch=self.workers.dispatch,
            maintain=self.workers.maintain,
        )
        self.monitoring = self._monitoring(stage)
        self._migrate_first()
        self._grant_database()
        self._grant_queues()
        self._grant_secrets()
        self.storage.allow_archiving(self.workers.maintain)
        self.storage.allow_documents(self.workers.rescrape)
        self.storage.allow_handing_out_documents(self.api.api)
        self._outputs()

    @property
    def _measured(self) -> tuple[Function, ...]:
        """The functions whose logs have metrics."""
        workers = (self.workers.deliver, self.workers.jobs, self.workers.rescrape, self.workers.dispatch)
        return (self.api.authorizer, self.api.api, self.api.receive, *workers, self.workers.maintain)

    def _migration(self, platform: Platform) -> Migration:
        return Migration(
            self,
            "Migration",
            platform=platform,
            network=self.network,
            environment=self.database.on_instance(user=database.ADMIN_USER)
            | {
                "DATABASE_SECRET_ARN": self.database.admin_secret.secret_arn,
                "DATABASE_INSTANCE_ID": self.database.instance.instance_identifier,
            }
            | _variables(platform.stage.partitions),
            revision=packaging.migrations_revision(),
        )

    def _api(self, platform: Platform) -> Api:
        return Api(
            self,
            "Api",
            platform=platform,
            placement=self.network.functions,
            authorizer_environment=self.database.through_proxy()
            | {"ADMIN_KEY_SECRET_ARN": self.storage.admin_key.secret_arn},
            api_environment=self.database.through_proxy()
            | self.queues.environment()
            | self.queues.jobs_environment()
            | self.queues.rescrape_environment()
            | {"KMS_KEY_ID": self.storage.key.key_arn, "DOCUMENTS_BUCKET": self.storage.documents.bucket_name}
            | _egress(platform.stage)
            | _variables(platform.stage.retention, platform.stage.partitions, platform.stage.rescraping)
            | _thresholds(platform.stage),
            receive_environment=self.database.through_proxy()
            | self.queues.rescrape_environment()
            | self.queues.first_environment()
            | {"KMS_KEY_ID": self.storage.key.key_arn},
        )

    def _workers(self, platform: Platform) -> Workers:
        on_proxy_and_queues = self.database.through_proxy() | self.queues.environment()
        stage = platform.stage
        limits = _variables(stage.limits)
        return Workers(
            self,
            "Workers",
            platform=platform,
            network=self.network,
            queues=self.queues,
            deliver_environment=on_proxy_and_queues
            | {"KMS_KEY_ID": self.storage.key.key_arn}
            | _egress(stage)
            | limits,
            jobs_environment=on_proxy_and_queues | self.queues.jobs_environment(),
            rescrape_environment=self.database.through_proxy()
            | self.queues.first_environment()
            | self.queues.rescrape_environment()
            | {"KMS_KEY_ID": self.storage.key.key_arn, "DOCUMENTS_BUCKET": self.storage.documents.bucket_name}
            | _egress(stage)
            | _variables(stage.rescraping),
            dispatch_environment=on_proxy_and_queues
            | self.queues.jobs_environment()
            | self.queues.rescrape_environment()
            | limits,
            maintain_environment=self.database.on_instance(user=database.MAINTAIN_USER)
            | {"ARCHIVE_BUCKET": self.storage.archive.bucket_name}
            | _variables(stage.retention, stage.partitions, stage.vacuum)
            | _thresholds(stage),
        )

    def _monitoring(self, stage: Stage) -> Monitoring:
        functions = (*self._measured, self.metrics.metrics)
        monitoring = Monitoring(
            self,
            "Monitoring",
            stage=stage,
            functions=functions,
            queues=self.queues,
            database=self.database,
            server_errors=self.api.http_api.metric_server_error(period=FIVE_MINUTES, statistic="Sum"),
        )
        Dashboard(
            self,
            "Service",
            stage=stage,
            api=self.api.http_api,
            functions=functions,
            queues=self.queues,
            database=self.database,
            alarms=monitoring.alarms,
        )
        return monitoring

    def _migrate_first(self) -> None:
        for function in (*self._measured, self.metrics.metrics):
            self.migration.runs_before(function)

    def _grant_database(self) -> None:
        workers = (self.workers.deliver, self.workers.jobs, self.workers.rescrape, self.workers.dispatch)
        for function in (self.api.authorizer, self.api.api, self.api.receive, *workers, self.metrics.metrics):
            self.database.proxy.grant_connect(function, database.APP_USER)
        self.database.instance.grant_connect(self.workers.maintain, database.MAINTAIN_USER)
        self.database.admin_secret.grant_read(self.migration.migrate)
        self.migration.may_look_at_snapshots_of(self.database.instance)

    def _grant_queues(self) -> None:
        for function in (self.api.api, self.workers.deliver, self.workers.jobs, self.workers.dispatch):
            for queue in (self.queues.delivery, self.queues.retry):
                queue.grant(function, "sqs:SendMessage")
        for function in (self.api.receive, self.workers.rescrape):
            self.queues.delivery.grant(function, "sqs:SendMessage")
        for function in (self.api.api, self.workers.jobs, self.workers.dispatch):
            self.queues.jobs.grant(function, "sqs:SendMessage")
        for function in (self.api.api, self.api.receive, self.workers.rescrape, self.workers.dispatch):
            self.queues.rescrape.grant(function, "sqs:SendMessage")

        for queue in self.queues.all:  # how many messages there are: /v1/health tells
            queue.grant(self.api.api, "sqs:GetQueueAttributes")

    def _grant_secrets(self) -> None:
        self.storage.admin_key.grant_read(self.api.authorizer)
        self.storage.key.grant(self.api.api, "kms:GenerateDataKey", "kms:Decrypt")
        for function in (self.api.receive, self.workers.deliver, self.workers.rescrape):
            self.storage.key.grant(function, "kms:Decrypt")

    def _outputs(self) -> None:
        values = {
            "ApiUrl": self.api.http_api.api_endpoint,
            "AdminKeySecretArn": self.storage.admin_key.secret_arn,
            "ArchiveBucket": self.storage.archive.bucket_name,
            "DocumentsBucket": self.storage.documents.bucket_name,
            "NatAddresses": cdk.Fn.join(",", [address.ref for address in self.network.nat_addresses]),
            "DeliveryQueueUrl": self.queues.delivery.queue_url,
            "RetryQueueUrl": self.queues.retry.queue_url,
            "JobsQueueUrl": self.queues.jobs.queue_url,
            "RescrapeQueueUrl": self.queues.rescrape.queue_url,
            "RescrapeDlqArn": self.queues.rescrape_dlq.queue_arn,
            "DeliveryDlqArn": self.queues.delivery_dlq.queue_arn,
            "RetryDlqArn": self.queues.retry_dlq.queue_arn,
            "JobsDlqArn": self.queues.jobs_dlq.queue_arn,
            "AlarmTopicArn": self.monitoring.topic.topic_arn,
        }
        for name, value in values.items():
            cdk.CfnOutput(self, name, value=value)


def _variables(*given: Iterable[tuple[str, int | str]]) -> dict[str, str]:
    """What a stage sets otherwise than functions/settings.py."""
    return {name: str(value) for pairs in given for name, value in pairs}


def _thresholds(stage: Stage) -> dict[str, str]:
    """What of the thresholds differs from the defaults, which the functions know themselves."""
    usual, chosen = asdict(USUAL), asdict(stage.thresholds)
    return {f"THRESHOLD_{name.upper()}": str(value) for name, value in chosen.items() if value != usual[name]}


def _egress(stage: Stage) -> dict[str, str]:
    """Where webhooks may point: api checks their URLs, deliver the address and port it is about to connect to."""
    return {
        "EGRESS_SCHEMES": ",".join(stage.egress_schemes),
        "EGRESS_PORTS": ",".join(str(port) for port in stage.egress_ports),
        "EGRESS_ALLOWED_NETWORKS": ",".join(stage.egress_allowed_networks),
    }
