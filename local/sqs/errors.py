"""The errors of the SQS API, each with what its JSON protocol needs to know.

Names, codes and statuses are those AWS answers with (Developer Guide, "Error response structure", and the
responses recorded in public emulators' tests against AWS).
"""

from dataclasses import dataclass

SQS = "com.amazonaws.sqs"
FRONT_END = "com.amazon.coral.service"  # what AWS's front end refuses before SQS sees it


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of error.

    `shape`: the name in the service model, from which SDKs choose the exception class (`__type`).
    `code`: the name in the older query protocol, which SDKs show as `Error.Code` (`x-amzn-query-error`).
    """

    shape: str
    code: str
    status: int = 400
    namespace: str = SQS


def _legacy(shape: str, code: str | None = None, status: int = 400) -> Fault:
    return Fault(shape, f"AWS.SimpleQueueService.{code or shape}", status)


def _front_end(shape: str, code: str, status: int = 400) -> Fault:
    return Fault(shape, code, status, FRONT_END)


QUEUE_DOES_NOT_EXIST = _legacy("QueueDoesNotExist", "NonExistentQueue")
QUEUE_NAME_EXISTS = Fault("QueueNameExists", "QueueAlreadyExists")
PURGE_QUEUE_IN_PROGRESS = _legacy("PurgeQueueInProgress", status=403)
INVALID_ATTRIBUTE_NAME = Fault("InvalidAttributeName", "InvalidAttributeName")
INVALID_ATTRIBUTE_VALUE = Fault("InvalidAttributeValue", "InvalidAttributeValue")
INVALID_MESSAGE_CONTENTS = Fault("InvalidMessageContents", "InvalidMessageContents")
RECEIPT_HANDLE_IS_INVALID = Fault("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 404)
OVER_LIMIT = Fault("OverLimit", "OverLimit", 403)
EMPTY_BATCH_REQUEST = _legacy("EmptyBatchRequest")
TOO_MANY_ENTRIES = _legacy("TooManyEntriesInBatchRequest")
BATCH_ENTRY_IDS_NOT_DISTINCT = _legacy("BatchEntryIdsNotDistinct")
INVALID_BATCH_ENTRY_ID = _legacy("InvalidBatchEntryId")
BATCH_REQUEST_TOO_LONG = _legacy("BatchRequestTooLong")
UNSUPPORTED_OPERATION = _legacy("UnsupportedOperation")
RESOURCE_NOT_FOUND = Fault("ResourceNotFoundException", "ResourceNotFoundException", 404)
INVALID_ADDRESS = Fault("InvalidAddress", "InvalidAddress", 404)

INVALID_PARAMETER_VALUE = _front_end("InvalidParameterValueException", "InvalidParameterValue")
MISSING_PARAMETER = _front_end("MissingRequiredParameterException", "MissingParameter")
SERIALIZATION = _front_end("SerializationException", "MalformedInput")
UNKNOWN_OPERATION = _front_end("UnknownOperationException", "InvalidAction")
ACCESS_DENIED = _front_end("AccessDeniedException", "AccessDenied", 403)
INTERNAL_FAILURE = _front_end("InternalFailure", "InternalError", 500)


class SqsError(Exception):
    """A refused request; the text is shown to the caller."""

    def __init__(self, fault: Fault, text: str) -> None:
        super().__init__(text)
        self.fault = fault
        self.text = text


def queue_does_not_exist() -> SqsError:
    return SqsError(QUEUE_DOES_NOT_EXIST, "The specified queue does not exist.")


def missing_parameter(name: str) -> SqsError:
    return SqsError(MISSING_PARAMETER, f"The request must contain the parameter {name}.")


def invalid_value(name: str, value: object, reason: str) -> SqsError:
    text = f"Value {value} for parameter {name} is invalid. Reason: {reason}"
    return SqsError(INVALID_PARAMETER_VALUE, text)
