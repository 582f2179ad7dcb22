"""CloudWatch metrics, in the embedded metric format: a line of JSON on standard output, and no call to anybody.

The one dimension is the function's name, which has the stage in it. Each value of a dimension is a metric that is
paid for, so a project or a webhook is never one; their figures are in the database.
"""

from collections.abc import Mapping

from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.domain.figures.measures import NAMESPACE, UNITS


def publish(measures: Mapping[str, float]) -> None:
    """One value for each measure. Raises KeyError for one that has no unit."""
    if not measures:
        return
    metrics = EphemeralMetrics(namespace=NAMESPACE)
    for name, value in measures.items():
        metrics.add_metric(name=name, unit=UNITS[name], value=value)
    metrics.flush_metrics()
