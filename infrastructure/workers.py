"""The functions that nobody calls over HTTP: they are woken by a queue or by the clock."""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infrastructure.function import Function, Platform
from infrastructure.network import Network
from infrastructure.queues import DELIVER_TIMEOUT, JOBS_TIMEOUT, RESCRAPE_TIMEOUT, Queues

BATCH_SIZE = 10  # messages of up to 100 deliveries each: SQS's most without a batching window


class Workers(Construct):
    """deliver on both queues to endpoints, jobs and rescrape on their own, dispatch and maintain on schedules."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        platform: Platform,
        network: Network,
        queues: Queues,
        deliver_environment: dict[str, str],
        jobs_environment: dict[str, str],
        rescrape_environment: dict[str, str],
        dispatch_environment: dict[str, str],
        maintain_environment: dict[str, str],
    ) -> None:
        super().__init__(scope, construct_id)
        self.deliver = self._deliver(platform, network, deliver_environment)
        self._consume(self.deliver, queues.delivery, platform.stage.delivery_concurrency)
        self._consume(self.deliver, queues.retry, platform.stage.retry_concurrency)
        self.jobs = self._jobs(platform, network, jobs_environment)
        self._consume(self.jobs, queues.jobs, platform.stage.job_concurrency, batch_size=1)
        self.rescrape = self._rescrape(platform, network, rescrape_environment)
        self._consume(self.rescrape, queues.rescrape, platform.stage.rescrape_concurrency, batch_size=1)
        self.dispatch = self._dispatch(platform, network, dispatch_environment)
        self.maintain = self._maintain(platform, network, maintain_environment)

    def _deliver(self, platform: Platform, network: Network, environment: dict[str, str]) -> Function:
        return Function(
            self,
            name="deliver",
            platform=platform,
            placement=network.senders,
            environment=environment,
            memory_mib=1769,  # one whole vCPU (AWS documents it): a batch is up to 1000 requests
            timeout=DELIVER_TIMEOUT,
            # deliver sends retries to the queue that wakes it. The row counts the attempts; Lambda's own
            # count would drop the message after 16 and call a patient endpoint a loop.
            recursive_loop=lambda_.RecursiveLoop.ALLOW,
        )

    def _jobs(self, platform: Platform, network: Network, environment: dict[str, str]) -> Function:
        return Function(
            self,
            name="jobs",
            platform=platform,
            placement=network.functions,
            environment=environment,
            memory_mib=512,  # the work is Postgres's
            timeout=JOBS_TIMEOUT,
            # Each batch of a job sends the message for the next. The row counts them; Lambda's own count
            # would stop every job of more than 16.
            recursive_loop=lambda_.RecursiveLoop.ALLOW,
        )

    def _rescrape(self, platform: Platform, network: Network, environment: dict[str, str]) -> Function:
        return Function(
            self,
            name="rescrape",
            platform=platform,
            placement=network.senders,  # it calls addresses that customers chose, as deliver does
            environment=environment,
            memory_mib=512,  # a document of 16 MiB is in memory about ten times over
            timeout=RESCRAPE_TIMEOUT,
            # What found no room or is to be tried again goes back to the queue that wakes it. The row counts the
            # attempts; Lambda's own count would stop what waits in a long line.
            recursive_loop=lambda_.RecursiveLoop.ALLOW,
        )

    def _consume(
        self, function: Function, queue: sqs.Queue, concurrency: int, *, batch_size: int = BATCH_SIZE
    ) -> None:
        function.add_event_source(
            event_sources.SqsEventSource(
                queue,
                batch_size=batch_size,
                max_batching_window=cdk.Duration.seconds(0),  # what is sent together is packed already
                report_batch_item_failures=True,
                max_concurrency=concurrency,
            )
        )

    def _dispatch(self, platform: Platform, network: Network, environment: dict[str, str]) -> Function:
        return Function(
            self,
            name="dispatch",
            platform=platform,
            placement=network.functions,
            environment=environment,
            memory_mib=512,
            timeout=cdk.Duration.seconds(55),  # over before the next minute's run
            retry_attempts=0,  # the scheduler invokes asynchronously; the next minute is the retry
            max_event_age=cdk.Duration.seconds(60),
        )

    def _maintain(self, platform: Platform, network: Network, environment: dict[str, str]) -> Function:
        return Function(
            self,
            name="maintain",
            platform=platform,
            placement=network.maintenance,
            environment=environment,
            memory_mib=1769,  # one whole vCPU (AWS documents it): an archive is compressed here
            timeout=cdk.Duration.minutes(15),  # Lambda's most: jobs work in bounded batches and go on in the next
            retry_attempts=2,
            max_event_age=cdk.Duration.minutes(30),  # older than that, the next hour's run is soon enough
        )
