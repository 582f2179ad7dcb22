"""The queues, and where their dead messages wait for a person."""

import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infrastructure.config import Stage

# The consumers' time limits. AWS asks for a visibility of at least six times as much, so that a message
# is not shown again while its batch is still being retried.
DELIVER_TIMEOUT = cdk.Duration.seconds(60)
JOBS_TIMEOUT = cdk.Duration.seconds(60)  # a batch takes well under a second; its statements end after 20 s
RESCRAPE_TIMEOUT = cdk.Duration.seconds(180)  # 120 s for Firecrawl, the rest for storing and telling
VISIBILITY = cdk.Duration.seconds(6 * 60)
RESCRAPE_VISIBILITY = cdk.Duration.seconds(6 * 180)
MAX_RECEIVES = 5  # a message that five invocations could not finish is ours to look at
RETENTION = cdk.Duration.days(4)
DEAD_RETENTION = cdk.Duration.days(14)  # SQS's most; a dead message keeps the age it had in its source


class Queues(Construct):
    """Two lanes to endpoints (first attempts; what was slow, failing or due again), background jobs, rescrapes."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage) -> None:
        super().__init__(scope, construct_id)
        self._stage = stage
        self.delivery_dlq = self._dlq("delivery")
        self.delivery = self._queue("delivery", self.delivery_dlq)
        self.retry_dlq = self._dlq("retry")
        self.retry = self._queue("retry", self.retry_dlq)
        self.jobs_dlq = self._dlq("jobs")
        self.jobs = self._queue("jobs", self.jobs_dlq)
        self.rescrape_dlq = self._dlq("rescrape")
        self.rescrape = self._queue("rescrape", self.rescrape_dlq, RESCRAPE_VISIBILITY)
        live = (self.delivery, self.retry, self.jobs, self.rescrape)
        self.all = (*live, self.delivery_dlq, self.retry_dlq, self.jobs_dlq, self.rescrape_dlq)

    def environment(self) -> dict[str, str]:
        """The environment of a function that sends deliveries to the queues."""
        return {"DELIVERY_QUEUE_URL": self.delivery.queue_url, "RETRY_QUEUE_URL": self.retry.queue_url}

    def first_environment(self) -> dict[str, str]:
        """The environment of a function that makes deliveries and never tries one again."""
        return {"DELIVERY_QUEUE_URL": self.delivery.queue_url}

    def jobs_environment(self) -> dict[str, str]:
        """What a function needs beside it to start background jobs or go on with them."""
        return {"JOBS_QUEUE_URL": self.jobs.queue_url}

    def rescrape_environment(self) -> dict[str, str]:
        """What a function needs to have change events scraped again."""
        return {"RESCRAPE_QUEUE_URL": self.rescrape.queue_url}

    def _queue(self, name: str, dlq: sqs.Queue, visibility: cdk.Duration = VISIBILITY) -> sqs.Queue:
        return sqs.Queue(
            self,
            name.title(),
            queue_name=self._stage.physical_name(name),
            encryption=sqs.QueueEncryption.SQS_MANAGED,  # messages hold ids only: no payload, no secret
            enforce_ssl=True,
            retention_period=RETENTION,
            visibility_timeout=visibility,
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
