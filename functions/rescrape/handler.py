"""Entry point of the rescrape function: SQS records in, the failed ones out."""

from typing import TYPE_CHECKING, Any

from functions.adapters import queues, timing
from functions.domain import messages
from functions.domain.egress import check_policy
from functions.rescrape import work
from functions.settings import settings
from functions.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context(clear_state=True)
@timing.reported
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Scrape again what the messages name.

    A page that cannot be scraped is an outcome: its row says so, and its message is acknowledged. A message
    fails only when it is not ours; while the database is away, DBAPIError is raised and all of them come again.
    """
    check_policy()
    failed = [record["messageId"] for record in event["Records"] if not _handled(record, context)]
    return {"batchItemFailures": [{"itemIdentifier": id} for id in failed]}


def _handled(record: dict[str, Any], context: "LambdaContext") -> bool:
    try:
        message = messages.parse_rescrape(record["body"])
    except messages.ForeignMessageError as error:
        id = record["messageId"]
        logger.error("foreign message, left to the redrive policy", message_id=id, error=str(error))
        queues.make_visible(settings().rescrape_queue_url, [record["receiptHandle"]])
        return False
    work.run(message, context)
    return True
