"""Actions on queues."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from local.sqs import errors
from local.sqs.actions.fields import Fields, mapping, number, optional_text, text, texts
from local.sqs.actions.service import Service
from local.sqs.errors import SqsError
from local.sqs.queue import Queue
from local.sqs.queue_attributes import READABLE

MAX_PAGE = 1000


def create_queue(service: Service, fields: Fields) -> dict[str, Any]:
    queue = service.broker.create_queue(text(fields, "QueueName"), mapping(fields, "Attributes", str))
    return {"QueueUrl": service.url(queue)}


def get_queue_url(service: Service, fields: Fields) -> dict[str, Any]:
    owner = optional_text(fields, "QueueOwnerAWSAccountId") or service.broker.account
    if owner != service.broker.account:
        raise errors.queue_does_not_exist()
    return {"QueueUrl": service.url(service.broker.queue(text(fields, "QueueName")))}


def get_queue_attributes(service: Service, fields: Fields) -> dict[str, Any]:
    queue = service.queue(fields)
    names = texts(fields, "AttributeNames")
    for name in names:
        if name != "All" and name not in READABLE:
            raise SqsError(errors.INVALID_ATTRIBUTE_NAME, f"Unknown Attribute {name}.")
    attributes = _attributes(service, queue)
    if "All" not in names:
        attributes = {name: attributes[name] for name in names if name in attributes}
    return {"Attributes": attributes} if attributes else {}


def set_queue_attributes(service: Service, fields: Fields) -> dict[str, Any]:
    service.broker.configure(service.queue(fields), mapping(fields, "Attributes", str))
    return {}


def list_queues(service: Service, fields: Fields) -> dict[str, Any]:
    prefix = optional_text(fields, "QueueNamePrefix") or ""
    names = sorted(name for name in service.broker.queues if name.startswith(prefix))
    return _page(service, names, fields, "QueueUrls")


def list_dead_letter_source_queues(service: Service, fields: Fields) -> dict[str, Any]:
    names = sorted(queue.name for queue in service.broker.sources_of(service.queue(fields)))
    return {
        "queueUrls": [],
        **_page(service, names, fields, "queueUrls"),
    }  # the one lower-case list of the API


def delete_queue(service: Service, fields: Fields) -> dict[str, Any]:
    service.broker.delete_queue(service.queue(fields))
    return {}


def purge_queue(service: Service, fields: Fields) -> dict[str, Any]:
    service.broker.purge(service.queue(fields))
    return {}


def _attributes(service: Service, queue: Queue) -> dict[str, str]:
    counts = service.broker.counts(queue)
    return {
        **queue.attributes,
        "QueueArn": queue.arn,
        "CreatedTimestamp": str(queue.created_at // 1000),
        "LastModifiedTimestamp": str(queue.modified_at // 1000),
        "ApproximateNumberOfMessages": str(counts.visible),
        "ApproximateNumberOfMessagesNotVisible": str(counts.in_flight),
        "ApproximateNumberOfMessagesDelayed": str(counts.delayed),
    }


def _page(service: Service, names: Sequence[str], fields: Fields, key: str) -> dict[str, Any]:
    """Names after the token's, at most MaxResults; as on AWS only who sets MaxResults gets a token."""
    reason = f"MaxResults must be an integer between 1 and {MAX_PAGE}."
    size = number(fields, "MaxResults", 1, MAX_PAGE, reason)
    after = _decoded(optional_text(fields, "NextToken") or "")
    rest = [name for name in names if name > after]
    page = rest[: size or MAX_PAGE]
    answer: dict[str, Any] = {key: [service.url(service.broker.queue(name)) for name in page]} if page else {}
    if size is not None and len(rest) > len(page):
        answer["NextToken"] = base64.urlsafe_b64encode(page[-1].encode()).decode()
    return answer


def _decoded(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except (binascii.Error, ValueError) as error:
        raise SqsError(errors.INVALID_PARAMETER_VALUE, "Invalid or expired next token.") from error
