"""What somebody is told of: the alarms, and the topic that they go to. docs/monitoring.md says what to do."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from functions.domain.figures import measures
from infrastructure.config import Stage
from infrastructure.database import Database
from infrastructure.function import Function
from infrastructure.queues import Queues

GB = 1_000_000_000
MILLION = 1_000_000
GIBIBYTE = 1024**3
MINUTE = cdk.Duration.minutes(1)
FIVE_MINUTES = cdk.Duration.minutes(5)  # between two runs of gauges
QUARTER = cdk.Duration.minutes(15)
# Fan-out to receipt takes well under a second, and so does a batch of a job. Retries wait on purpose.
OLDEST_MESSAGE = cdk.Duration.minutes(5)
BORROWING_MS = 100  # a connection of the proxy is lent in 1 ms as long as there is one
SERVER_ERRORS = 5  # in five minutes: fewer are a function that was replaced or a connection that broke

ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
FROM = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
FINE = cloudwatch.TreatMissingData.NOT_BREACHING
BAD = cloudwatch.TreatMissingData.BREACHING
AS_BEFORE = cloudwatch.TreatMissingData.IGNORE  # that gauges fails is an alarm of its own


def figure(
    stage: Stage,
    name: str,
    statistic: str = "Maximum",
    *,
    of: str = "maintain",
    period: cdk.Duration = FIVE_MINUTES,
) -> cloudwatch.Metric:
    """A metric that one of our functions publishes (functions/adapters/metrics.py)."""
    return cloudwatch.Metric(
        namespace=measures.NAMESPACE,
        metric_name=name,
        dimensions_map={"service": stage.physical_name(of)},
        statistic=statistic,
        period=period,
    )


def proxy(stage: Stage, name: str, statistic: str, period: cdk.Duration = FIVE_MINUTES) -> cloudwatch.Metric:
    """A metric of RDS Proxy, which the CDK has no method for; all its endpoints together."""
    return cloudwatch.Metric(
        namespace="AWS/RDS",
        metric_name=name,
        dimensions_map={"ProxyName": f"hookline-{stage.name}"},
        statistic=statistic,
        period=period,
    )


class Monitoring(Construct):
    """Alarms on what a person has to do something about, each named for what is wrong."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        functions: Sequence[Function],
        queues: Queues,
        database: Database,
        server_errors: cloudwatch.Metric,
    ) -> None:
        super().__init__(scope, construct_id)
        self._stage = stage
        self.topic = self._topic()
        self._tell = actions.SnsAction(self.topic)
        self.alarms: list[cloudwatch.Alarm] = []
        self._on_queues(queues)
        self._on_functions(functions, server_errors)
        self._on_running()
        self._on_tables()
        self._on_server(database)

    def _topic(self) -> sns.ITopic:
        if self._stage.alarm_topic_arn:
            return sns.Topic.from_topic_arn(self, "Topic", self._stage.alarm_topic_arn)
        topic = sns.Topic(self, "Topic", topic_name=self._stage.physical_name("alarms"), enforce_ssl=True)
        # A policy of one's own replaces the one that would have let the account's alarms in.
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccount",
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account}},
            )
        )
        cdk.Validations.of(topic).acknowledge(
            cdk.Acknowledgment(
                id="AwsSolutions-SNS2",
                reason="Alarms have no secrets, and must arrive when it is the key that is gone.",
            )
        )
        if self._stage.alarm_email:
            topic.add_subscription(subscriptions.EmailSubscription(self._stage.alarm_email))
        return topic

    def _on_queues(self, queues: Queues) -> None:
        look = "look at the dead letters, then redrive"
        for name, dlq, advice in (
            ("delivery", queues.delivery_dlq, look),
            ("retry", queues.retry_dlq, look),
            ("jobs", queues.jobs_dlq, "the log of jobs says why; unfinished jobs go on by themselves"),
            (
                "rescrape",
                queues.rescrape_dlq,
                "the log of rescrape says why; what is unfinished goes on by itself",
            ),
        ):
            depth = dlq.metric_approximate_number_of_messages_visible(period=MINUTE)
            self._alarm(f"{name}-dlq", f"Messages wait in {dlq.node.id}: {advice}", depth, ABOVE, 0)
        for name, queue, meaning in (
            ("delivery", queues.delivery, "First attempts are waiting: deliver is throttled, failing or too few"),
            ("jobs", queues.jobs, "Background jobs are waiting: jobs is throttled, failing or too few"),
        ):
            age = queue.metric_approximate_age_of_oldest_message(period=MINUTE)
            self._alarm(f"{name}-age", meaning, age, ABOVE, OLDEST_MESSAGE.to_seconds(), periods=3)

    def _on_functions(self, functions: Sequence[Function], server_errors: cloudwatch.Metric) -> None:
        for function in functions:
            name = function.node.id.lower()
            failed = function.metric_errors(period=FIVE_MINUTES)
            self._alarm(f"{name}-errors", f"Invocations of {name} failed: its log says why", failed, ABOVE, 0)
            if function.bounded:
                lost = function.metric("AsyncEventsDropped", period=FIVE_MINUTES, statistic="Sum")
                meaning = f"What {name} was to do is lost: its log says why, or it is too few at a time"
                self._alarm(f"{name}-dropped", meaning, lost, ABOVE, 0)
            else:
                refused = function.metric_throttles(period=FIVE_MINUTES)
                meaning = f"{name} is throttled: the account has no concurrency left"
                self._alarm(f"{name}-throttles", meaning, refused, ABOVE, 0)
        meaning = "The API answers 5xx: the database is away, or the log of api or receive says why"
        self._alarm("api-5xx", meaning, server_errors, ABOVE, SERVER_ERRORS)

    def _on_running(self) -> None:
        """That what runs by the clock runs: nothing heard of it is as bad as anything."""
        limits = self._stage.thresholds
        beat = figure(self._stage, measures.DISPATCHER_HEARTBEAT, "Sum", of="dispatch", period=MINUTE)
        meaning = "dispatch has not run to its end: retries and lost messages wait"
        periods = limits.heartbeat_warning_seconds // 60
        self._alarm("dispatcher", meaning, beat, BELOW, 1, periods=periods, missing=BAD)
        made = figure(self._stage, measures.DATABASE_BYTES, "SampleCount", period=QUARTER)
        meaning = "No report of the database: gauges fails or does not run, and the alarms on it say nothing"
        self._alarm("reports", meaning, made, BELOW, 1, missing=BAD)
        meaning = "Deliveries are overdue: dispatch does not keep up, or does not run"
        self._figure_alarm(
            "overdue", meaning, measures.OLDEST_OVERDUE_SECONDS, FROM, limits.overdue_warning_seconds
        )

    def _on_tables(self) -> None:
        limits = self._stage.thresholds
        large, size = "A table, or a partition of one, is large", measures.LARGEST_TABLE_BYTES
        self._figure_alarm(
            "table-warning", f"{large}: look at its growth", size, FROM, limits.table_warning_gb * GB
        )
        self._figure_alarm("table-critical", f"{large}: act", size, FROM, limits.table_critical_gb * GB)
        many = "A table, or a partition of one, has many rows: look at its growth"
        rows = limits.table_rows_millions * MILLION
        self._figure_alarm("table-rows", many, measures.LARGEST_TABLE_ROWS, FROM, rows)
        ends = "Partitions are not made ahead any more: the log of maintain says why"
        days = figure(self._stage, measures.PARTITION_DAYS_AHEAD, "Minimum")
        self._alarm("partitions", ends, days, BELOW, limits.partition_warning_days, missing=AS_BEFORE)
        strays = "Rows are in a default partition: partitions were missing"
        self._figure_alarm("default-rows", strays, measures.DEFAULT_PARTITION_ROWS, FROM, 1, periods=3)

    def _on_server(self, database: Database) -> None:
        limits, instance = self._stage.thresholds, database.instance
        ids = limits.transaction_ids_warning_millions * MILLION
        old = "Transaction ids are not frozen: autovacuum fails, or something holds it back"
        self._figure_alarm("transaction-ids", old, measures.TRANSACTION_ID_AGE, FROM, ids)
        taken = "Most of the server's connections are taken"
        most = limits.connections_warning_percent
        self._figure_alarm("connections", taken, measures.CONNECTION_PERCENT, FROM, most, periods=2)
        busy = instance.metric_cpu_utilization(period=FIVE_MINUTES)
        self._alarm("database-cpu", "The database is busy", busy, FROM, 80, periods=3)
        free = instance.metric_free_storage_space(period=FIVE_MINUTES, statistic="Minimum")
        least = self._stage.storage_gib * GIBIBYTE / 10
        full = "The database's storage is nearly full, and has grown as far as it may, or lately"
        self._alarm("database-storage", full, free, BELOW, least, periods=3)
        lent = proxy(self._stage, "DatabaseConnectionsBorrowLatency", "Average")  # in microseconds
        slow = "Functions wait for a connection of the proxy"
        self._alarm("proxy-borrowing", slow, lent, FROM, BORROWING_MS * 1000, periods=3)
        pinned = proxy(self._stage, "DatabaseConnectionsCurrentlySessionPinned", "Minimum")
        kept = "Sessions are pinned to a connection of the proxy: some statement sets session state"
        self._alarm("proxy-pinned", kept, pinned, ABOVE, 0, periods=3)

    def _figure_alarm(
        self,
        name: str,
        meaning: str,
        measure: str,
        comparison: cloudwatch.ComparisonOperator,
        threshold: float,
        periods: int = 1,
    ) -> None:
        metric = figure(self._stage, measure)
        self._alarm(name, meaning, metric, comparison, threshold, periods=periods, missing=AS_BEFORE)

    def _alarm(
        self,
        name: str,
        meaning: str,
        metric: cloudwatch.IMetric,
        comparison: cloudwatch.ComparisonOperator,
        threshold: float,
        *,
        periods: int = 1,
        missing: cloudwatch.TreatMissingData = FINE,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            "".join(part.title() for part in name.split("-")) + "Alarm",
            alarm_name=self._stage.physical_name(name),
            alarm_description=meaning,
            metric=metric,
            comparison_operator=comparison,
            threshold=threshold,
            evaluation_periods=periods,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(self._tell)
        alarm.add_ok_action(self._tell)
        self.alarms.append(alarm)
