"""The delivery queue, the retry queue, and where their dead messages wait for a person."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infrastructure.config import Stage

# The consumer's time limit. AWS asks for a visibility of at least six times as much, so that a message
# is not shown again while its batch is still being retried.
DELIVER_TIMEOUT = cdk.Duration.seconds(60)
VISIBILITY = cdk.Duration.seconds(6 * 60)
MAX_RECEIVES = 5  # a message that five invocations could not finish is ours to look at
RETENTION = cdk.Duration.days(4)
DEAD_RETENTION = cdk.Duration.days(14)  # SQS's most; a dead message keeps the age it had in its source
OLDEST_MESSAGE_ALARM = cdk.Duration.minutes(5)  # fan-out to receipt takes well under a second


class Queues(Construct):
    """Two lanes: first attempts, and everything that was slow, failing or due again."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage) -> None:
        super().__init__(scope, construct_id)
        self._stage = stage
        self.delivery_dlq = self._dlq("delivery")
        self.delivery = self._queue("delivery", self.delivery_dlq)
        self.retry_dlq = self._dlq("retry")
        self.retry = self._queue("retry", self.retry_dlq)
        self._alarms()

    def environment(self) -> dict[str, str]:
        """The environment of a function that sends to the queues."""
        return {"DELIVERY_QUEUE_URL": self.delivery.queue_url, "RETRY_QUEUE_URL": self.retry.queue_url}

    def _queue(self, name: str, dlq: sqs.Queue) -> sqs.Queue:
        return sqs.Queue(
            self,
            name.title(),
            queue_name=self._stage.physical_name(name),
            encryption=sqs.QueueEncryption.SQS_MANAGED,  # messages hold ids only: no payload, no secret
            enforce_ssl=True,
            retention_period=RETENTION,
            visibility_timeout=VISIBILITY,
            dead_letter_queue=sqs.DeadLetterQueue(queue=dlq, max_receive_count=MAX_RECEIVES),
        )

    def _dlq(self, name: str) -> sqs.Queue:
        return sqs.Queue(
            self,
            f"{name.title()}Dlq",
            queue_name=self._stage.physical_name(f"{name}-dlq"),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=DEAD_RETENTION,
        )

    def _alarms(self) -> None:
        """The two figures without which nobody would notice that delivery has stopped."""
        for name, dlq in (("Delivery", self.delivery_dlq), ("Retry", self.retry_dlq)):
            cloudwatch.Alarm(
                self,
                f"{name}DlqAlarm",
                alarm_description=f"Messages wait in {dlq.node.id}: look at the dead letters, then redrive",
                metric=dlq.metric_approximate_number_of_messages_visible(period=cdk.Duration.minutes(1)),
                threshold=0,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
                evaluation_periods=1,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
        cloudwatch.Alarm(
            self,
            "DeliveryAgeAlarm",
            alarm_description="First attempts are waiting: deliver is throttled, failing or too few",
            metric=self.delivery.metric_approximate_age_of_oldest_message(period=cdk.Duration.minutes(1)),
            threshold=OLDEST_MESSAGE_ALARM.to_seconds(),
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=3,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
