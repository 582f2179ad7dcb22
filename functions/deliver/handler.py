"""Entry point of the delivery function: SQS records in, the failed ones out."""

from typing import TYPE_CHECKING, Any

from functions.adapters import timing
from functions.deliver import intake
from functions.deliver.invocation import Invocation, bounce
from functions.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context
@timing.reported
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Deliver what the messages name.

    A customer's failing endpoint is an outcome and its message is acknowledged. A message fails only when it is
    not ours, or when it is a dead letter on its way to the DLQ.
    """
    records = event["Records"]
    if not records:
        return {"batchItemFailures": []}
    lane = intake.lane(records[0])
    failed = Invocation(lane, context).run(intake.sort(intake.of_records(records)))
    bounce(lane, failed)
    return {"batchItemFailures": [{"itemIdentifier": one.id} for one in failed]}
