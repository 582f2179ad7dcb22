"""The content of messages: what is valid, how big it is, its digest, which attributes a receiver gets."""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping

from local.sqs.errors import INVALID_MESSAGE_CONTENTS, INVALID_PARAMETER_VALUE, SqsError, invalid_value
from local.sqs.message import AttributeValue

Attributes = Mapping[str, AttributeValue]

MAX_ATTRIBUTES = 10  # per message (message quotas)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_XML_ASCII = bytes([0x09, 0x0A, 0x0D, *range(0x20, 0x80)])
_VALID_CHARACTERS = (
    "Invalid characters found. Valid unicode characters are "
    "#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
)
_NAME = re.compile(r"(?!aws\.|amazon\.)(?!.*\.\.)[a-z0-9_-](?:[a-z0-9_.-]{0,254}[a-z0-9_-])?", re.IGNORECASE)
_TYPE = re.compile(r"(String|Number|Binary)(\.[!-~]{1,250})?")
_GROUP = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}")


def check_body(body: str) -> None:
    """Raises SqsError (InvalidMessageContents) for characters XML does not allow."""
    if not _is_xml(body):
        raise SqsError(INVALID_MESSAGE_CONTENTS, _VALID_CHARACTERS)


def check_group(group_id: str) -> None:
    """Raises SqsError if it is not 1 to 128 letters, digits and punctuation."""
    if not _GROUP.fullmatch(group_id):
        reason = "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length."
        raise invalid_value("MessageGroupId", group_id, reason)


def check_attributes(attributes: Attributes) -> None:
    """Raises SqsError for a bad name, type or value and for more than ten attributes."""
    if len(attributes) > MAX_ATTRIBUTES:
        found = f"[{len(attributes)}] exceeds the allowed maximum [{MAX_ATTRIBUTES}]"
        raise SqsError(INVALID_PARAMETER_VALUE, f"Number of message attributes {found}.")
    for name, value in attributes.items():
        if not _NAME.fullmatch(name):
            raise _refused(name, "has an invalid name")
        _check_value(name, value)


def size_of(body: str, attributes: Attributes) -> int:
    """Bytes that count towards a message's limit: the body, and name, type and value of each attribute."""
    size = len(body) if body.isascii() else len(body.encode(errors="surrogatepass"))
    for name, value in attributes.items():
        size += len(name) + len(value["DataType"].encode()) + len(_value_of(value))
    return size


def digest(attributes: Attributes) -> str:
    """MD5OfMessageAttributes ("Calculating the MD5 message digest for message attributes")."""
    md5 = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        value = attributes[name]
        md5.update(_counted(name.encode()))
        md5.update(_counted(value["DataType"].encode()))
        md5.update(b"\x02" if _is_binary(value) else b"\x01")
        md5.update(_counted(_value_of(value)))
    return md5.hexdigest()


def selected(attributes: Attributes, wanted: Iterable[str]) -> dict[str, AttributeValue]:
    """Those a receiver asked for by name, by prefix (`order.*`) or all (`All`, `.*`)."""
    names = list(wanted)
    return {name: value for name, value in attributes.items() if any(_matches(name, want) for want in names)}


def _matches(name: str, wanted: str) -> bool:
    if wanted in ("All", ".*"):
        return True
    return name.startswith(wanted[:-2]) if wanted.endswith(".*") else name == wanted


def _check_value(name: str, value: AttributeValue) -> None:
    kind = value.get("DataType")
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        raise _refused(name, "must have a type that starts with String, Number or Binary")
    logical = kind.partition(".")[0]
    present = value.get("BinaryValue" if logical == "Binary" else "StringValue")
    if not present or not isinstance(present, str):
        raise _refused(name, f"must contain a non-empty value of type '{logical}'")
    if logical == "Binary":
        _check_base64(name, present)
    elif not _is_xml(present):
        raise SqsError(INVALID_PARAMETER_VALUE, _VALID_CHARACTERS)
    if logical == "Number" and not _is_number(present):
        raise _refused(name, "must be a number")


def _is_xml(text: str) -> bool:
    if text.isascii():  # four times as fast as the pattern, and what bodies nearly always are
        return not text.encode().translate(None, _XML_ASCII)
    return _NOT_XML.search(text) is None


def _check_base64(name: str, value: str) -> None:
    try:
        base64.b64decode(value, validate=True)
    except ValueError as error:
        raise _refused(name, "must be base64") from error


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) is not None


def _refused(name: str, why: str) -> SqsError:
    return SqsError(INVALID_PARAMETER_VALUE, f"Message (user) attribute '{name}' {why}.")


def _value_of(value: AttributeValue) -> bytes:
    if _is_binary(value):
        return base64.b64decode(value["BinaryValue"])
    return value["StringValue"].encode()


def _is_binary(value: AttributeValue) -> bool:
    return value["DataType"].startswith("Binary")


def _counted(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
