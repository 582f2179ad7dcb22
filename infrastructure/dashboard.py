"""The one dashboard: what is wrong, then the way of an event from the API to the endpoint, then the database."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from functions.domain.figures import measures
from infrastructure.config import Stage
from infrastructure.database import Database
from infrastructure.monitoring import FIVE_MINUTES, MINUTE, figure, proxy
from infrastructure.queues import Queues

THIRD = 8  # of the 24 columns
HELP = """What each figure means and what to do: `docs/monitoring.md`. The same in words:
`GET /v1/health` and `GET /v1/admin/database` with the admin key."""


class Dashboard(Construct):
    """Three graphs a row."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        api: apigateway.HttpApi,
        functions: Sequence[lambda_.Function],
        queues: Queues,
        database: Database,
        alarms: Sequence[cloudwatch.Alarm],
    ) -> None:
        super().__init__(scope, construct_id)
        self._stage = stage
        board = cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=stage.physical_name("service"),
            default_interval=cdk.Duration.hours(3),
        )
        board.add_widgets(
            cloudwatch.AlarmStatusWidget(title="Alarms", alarms=list(alarms), width=18, height=5),
            cloudwatch.TextWidget(markdown=HELP, width=6, height=5),
        )
        board.add_widgets(*_api(api))
        board.add_widgets(*self._deliveries(queues))
        board.add_widgets(*_functions(functions))
        board.add_widgets(*self._statements(functions))
        board.add_widgets(*self._server(database))
        board.add_widgets(*self._sessions(database))
        board.add_widgets(*self._tables())

    def _deliveries(self, queues: Queues) -> list[cloudwatch.IWidget]:
        live = {
            "first attempts": queues.delivery,
            "retries": queues.retry,
            "jobs": queues.jobs,
            "rescrapes": queues.rescrape,
        }
        dead = {
            "delivery": queues.delivery_dlq,
            "retry": queues.retry_dlq,
            "jobs": queues.jobs_dlq,
            "rescrapes": queues.rescrape_dlq,
        }
        return [
            _graph(
                "Messages that wait",
                [
                    queue.metric_approximate_number_of_messages_visible(label=name, period=MINUTE)
                    for name, queue in live.items()
                ],
                right=[
                    queues.delivery.metric_approximate_age_of_oldest_message(
                        label="oldest, seconds", period=MINUTE
                    )
                ],
            ),
            _graph(
                "Dead messages",
                [
                    queue.metric_approximate_number_of_messages_visible(label=name, period=MINUTE)
                    for name, queue in dead.items()
                ],
                right=[self._figure(measures.PENDING_DEAD_LETTERS, "dead letters pending")],
            ),
            _graph(
                "Deliveries that are not finished",
                [
                    self._figure(measures.UNFINISHED_DELIVERIES, "unfinished"),
                    self._figure(measures.HELD_DELIVERIES, "held back"),
                ],
                right=[self._figure(measures.OLDEST_OVERDUE_SECONDS, "most overdue, seconds")],
            ),
        ]

    def _statements(self, functions: Sequence[lambda_.Function]) -> list[cloudwatch.IWidget]:
        """Of every statement that a function runs; which of them was slow is in its log, by name."""

        def of(name: str, statistic: str) -> list[cloudwatch.IMetric]:
            return [
                cloudwatch.Metric(
                    namespace=measures.NAMESPACE,
                    metric_name=name,
                    dimensions_map={"stage": self._stage.name, "function": function.node.id.lower()},
                    statistic=statistic,
                    period=FIVE_MINUTES,
                    label=function.node.id.lower(),
                )
                for function in functions
            ]

        return [
            _graph("Statements: time p99, ms", of("StatementTime", "p99")),
            _graph("Statements: slow ones", of("SlowStatements", "Sum")),
            _graph("Statements: errors", of("StatementErrors", "Sum")),
        ]

    def _server(self, database: Database) -> list[cloudwatch.IWidget]:
        instance = database.instance
        return [
            _graph(
                "Database: CPU and storage",
                [instance.metric_cpu_utilization(label="CPU, percent", period=MINUTE)],
                right=[instance.metric_free_storage_space(label="free bytes", period=FIVE_MINUTES)],
            ),
            _graph(
                "Database: storage at work",
                [
                    instance.metric("ReadIOPS", label="reads a second", period=MINUTE),
                    instance.metric("WriteIOPS", label="writes a second", period=MINUTE),
                ],
                right=[instance.metric("WriteLatency", label="write, seconds", period=MINUTE)],
            ),
            _graph(
                "Database: memory",
                [self._figure(measures.CACHE_HIT_PERCENT, "found in memory, percent", "Minimum")],
                right=[instance.metric("FreeableMemory", label="free bytes", period=MINUTE)],
            ),
        ]

    def _sessions(self, database: Database) -> list[cloudwatch.IWidget]:
        return [
            _graph(
                "Connections",
                [database.instance.metric_database_connections(label="of the server", period=MINUTE)],
                right=[self._figure(measures.CONNECTION_PERCENT, "percent of all")],
            ),
            _graph(
                "Proxy",
                [proxy(self._stage, "DatabaseConnectionsBorrowLatency", "Average", MINUTE)],
                right=[
                    proxy(self._stage, "DatabaseConnectionsCurrentlyBorrowed", "Maximum", MINUTE),
                    proxy(self._stage, "DatabaseConnectionsCurrentlySessionPinned", "Maximum", MINUTE),
                ],
            ),
            _graph(
                "Transactions and locks",
                [
                    self._figure(measures.LONGEST_TRANSACTION_SECONDS, "longest transaction, seconds"),
                    self._figure(measures.WAITING_FOR_LOCKS, "waiting for locks"),
                ],
                right=[self._figure(measures.TRANSACTION_ID_AGE, "transaction id age")],
            ),
        ]

    def _tables(self) -> list[cloudwatch.IWidget]:
        return [
            _graph(
                "Sizes",
                [
                    self._figure(measures.DATABASE_BYTES, "database"),
                    self._figure(measures.LARGEST_TABLE_BYTES, "largest table or partition"),
                    self._figure(measures.BLOAT_BYTES, "bloat"),
                    self._figure(measures.RETAINED_WAL_BYTES, "WAL held back"),
                ],
            ),
            _graph(
                "Rows",
                [
                    self._figure(measures.LARGEST_TABLE_ROWS, "largest table or partition"),
                    self._figure(measures.DEAD_ROWS, "dead"),
                ],
            ),
            _graph(
                "Partitions",
                [self._figure(measures.PARTITION_DAYS_AHEAD, "days ahead", "Minimum")],
                right=[
                    self._figure(measures.DEFAULT_PARTITION_ROWS, "rows in default partitions"),
                    self._figure(measures.PARTITIONS_PAST_RETENTION, "partitions past retention"),
                ],
            ),
        ]

    def _figure(self, name: str, label: str, statistic: str = "Maximum") -> cloudwatch.IMetric:
        return figure(self._stage, name, statistic).with_(label=label)


def _api(api: apigateway.HttpApi) -> list[cloudwatch.IWidget]:
    return [
        _graph("API: requests", [api.metric_count(label="requests", period=MINUTE)]),
        _graph(
            "API: refused and failed",
            [
                api.metric_client_error(label="4xx", period=MINUTE),
                api.metric_server_error(label="5xx", period=MINUTE),
            ],
        ),
        _graph(
            "API: time to answer, ms",
            [api.metric_latency(label=one, statistic=one, period=MINUTE) for one in ("p50", "p95", "p99")],
        ),
    ]


def _functions(functions: Sequence[lambda_.Function]) -> list[cloudwatch.IWidget]:
    names = [(function.node.id.lower(), function) for function in functions]
    return [
        _graph(
            "Functions: errors and throttles",
            [function.metric_errors(label=name, period=FIVE_MINUTES) for name, function in names],
            right=[
                function.metric_throttles(label=f"{name} refused", period=FIVE_MINUTES) for name, function in names
            ],
        ),
        _graph(
            "Functions: duration p99, ms",
            [
                function.metric_duration(label=name, statistic="p99", period=FIVE_MINUTES)
                for name, function in names
            ],
        ),
        _graph(
            "Functions: at a time",
            [
                function.metric("ConcurrentExecutions", label=name, statistic="Maximum", period=MINUTE)
                for name, function in names
            ],
        ),
    ]


def _graph(
    title: str, left: list[cloudwatch.IMetric], *, right: Sequence[cloudwatch.IMetric] = ()
) -> cloudwatch.IWidget:
    return cloudwatch.GraphWidget(title=title, left=left, right=list(right), width=THIRD, height=6)
