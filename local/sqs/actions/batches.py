"""What the batch actions have in common."""

import re
from collections.abc import Callable
from typing import Any

from local.sqs import errors
from local.sqs.actions.fields import Fields, objects, optional_text
from local.sqs.errors import SqsError

MAX_ENTRIES = 10
_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")


def entries_of(fields: Fields, kind: str) -> list[Fields]:
    """The entries of a batch. Raises SqsError for none, for too many, and for bad or repeated ids."""
    entries = objects(fields, "Entries")
    if not entries:
        text = f"There should be at least one {kind} in the request."
        raise SqsError(errors.EMPTY_BATCH_REQUEST, text)
    if len(entries) > MAX_ENTRIES:
        text = f"Maximum number of entries per request are {MAX_ENTRIES}. You have sent {len(entries)}."
        raise SqsError(errors.TOO_MANY_ENTRIES, text)
    seen: set[str] = set()
    for entry in entries:
        _check_id(optional_text(entry, "Id") or "", seen)
    return entries


def each(entries: list[Fields], action: Callable[[Fields], dict[str, Any]]) -> dict[str, Any]:
    """Run `action` on every entry: what it returns is that entry's success, an SqsError its failure."""
    successful, failed = [], []
    for entry in entries:
        try:
            successful.append({"Id": entry["Id"], **action(entry)})
        except SqsError as error:
            failed.append(_failure(entry["Id"], error))
    return {"Successful": successful, "Failed": failed}


def _failure(entry_id: str, error: SqsError) -> dict[str, Any]:
    return {"Id": entry_id, "SenderFault": True, "Code": error.fault.code, "Message": error.text}


def _check_id(entry_id: str, seen: set[str]) -> None:
    if not _ID.fullmatch(entry_id):
        text = (
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
            "It can be at most 80 letters long."
        )
        raise SqsError(errors.INVALID_BATCH_ENTRY_ID, text)
    if entry_id in seen:
        raise SqsError(errors.BATCH_ENTRY_IDS_NOT_DISTINCT, f"Id {entry_id} repeated.")
    seen.add(entry_id)
