"""The HTTP side: one POST per action, as AWS's JSON 1.0 protocol has it."""

import asyncio
import json
import logging
import sqlite3
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from local.sqs import errors
from local.sqs.actions import messages, moves, queues
from local.sqs.actions.fields import Fields
from local.sqs.actions.service import Service
from local.sqs.errors import SqsError
from local.sqs.group_commit import GroupCommit
from local.sqs.long_polling import LongPolling
from local.sqs.mover import Mover

logger = logging.getLogger(__name__)

Action = Callable[[Service, Fields], dict[str, Any]]

CONTENT_TYPE = "application/x-amz-json-1.0"
TARGET_PREFIX = "AmazonSQS."
# JSON may spell each byte of a 1 MiB batch as \u00xx.
MAX_REQUEST_BYTES = 8 * 1024 * 1024
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})

ACTIONS: Mapping[str, Action] = {
    "CreateQueue": queues.create_queue,
    "GetQueueUrl": queues.get_queue_url,
    "GetQueueAttributes": queues.get_queue_attributes,
    "SetQueueAttributes": queues.set_queue_attributes,
    "ListQueues": queues.list_queues,
    "ListDeadLetterSourceQueues": queues.list_dead_letter_source_queues,
    "DeleteQueue": queues.delete_queue,
    "PurgeQueue": queues.purge_queue,
    "SendMessage": messages.send_message,
    "SendMessageBatch": messages.send_message_batch,
    "ReceiveMessage": messages.receive_message,
    "DeleteMessage": messages.delete_message,
    "DeleteMessageBatch": messages.delete_message_batch,
    "ChangeMessageVisibility": messages.change_message_visibility,
    "ChangeMessageVisibilityBatch": messages.change_message_visibility_batch,
    "StartMessageMoveTask": moves.start_message_move_task,
    "ListMessageMoveTasks": moves.list_message_move_tasks,
    "CancelMessageMoveTask": moves.cancel_message_move_task,
}


class Server:
    """Answers requests, none before what it promises is in the file."""

    def __init__(self, service: Service, commit: GroupCommit, polling: LongPolling, mover: Mover) -> None:
        self._service = service
        self._commit = commit
        self._polling = polling
        self._mover = mover

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request, one JSON answer, whatever happens."""
        try:
            return _answer(200, await self._perform(request))
        except SqsError as error:
            return _refusal(error)
        except web.HTTPRequestEntityTooLarge:
            text = f"The request is longer than {MAX_REQUEST_BYTES} bytes."
            return _refusal(SqsError(errors.INVALID_PARAMETER_VALUE, text))
        except sqlite3.Error:
            return _refusal(_internal_failure())  # logged where it happened
        except Exception:
            logger.exception("request failed: %s", request.headers.get("X-Amz-Target"))
            return _refusal(_internal_failure())

    async def _perform(self, request: web.BaseRequest) -> dict[str, Any]:
        _check_host(request)
        name, action = _action_of(request)
        fields = _fields_of(await request.read())
        if action is messages.receive_message:
            answer = await self._receive(request, fields)
        else:
            answer = action(self._service, fields)
        if name == "StartMessageMoveTask":
            self._mover.start_all()
        await self._commit.settled()
        return answer

    async def _receive(self, request: web.BaseRequest, fields: Fields) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        queue = self._service.queue(fields)
        end = loop.time() + messages.wait_time(self._service, fields) / 1000
        while _is_connected(request):
            answer = messages.receive_message(self._service, fields)
            if answer or not await self._polling.wait(queue.name, end - loop.time()):
                return answer
        return {}


def _check_host(request: web.BaseRequest) -> None:
    """Refuse other names than loopback's: a web page may point its own at it (DNS rebinding)."""
    host = request.headers.get("Host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name not in LOOPBACK:
        raise SqsError(errors.ACCESS_DENIED, "This service answers on loopback only.")


def _action_of(request: web.BaseRequest) -> tuple[str, Action]:
    """The action X-Amz-Target names; a header of its own keeps web pages from sending requests."""
    target = request.headers.get("X-Amz-Target", "")
    name = target.removeprefix(TARGET_PREFIX)
    action = ACTIONS.get(name) if name != target and request.method == "POST" else None
    if action is None:
        text = f"The action {target or '(no X-Amz-Target)'} is not supported by this emulator."
        raise SqsError(errors.UNKNOWN_OPERATION, text)
    return name, action


def _fields_of(body: bytes) -> Fields:
    try:
        fields = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise SqsError(errors.SERIALIZATION, "The request body is not JSON, or nested too deep.") from error
    if not isinstance(fields, dict):
        raise SqsError(errors.SERIALIZATION, "The request body is not a JSON object.")
    return fields


def _is_connected(request: web.BaseRequest) -> bool:
    """A message handed to a client that has gone would be hidden from everybody until its timeout."""
    return request.transport is not None and not request.transport.is_closing()


def _answer(status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=json.dumps(body).encode(),
        headers={"Content-Type": CONTENT_TYPE, "x-amzn-RequestId": str(uuid.uuid4()), **(headers or {})},
    )


def _refusal(error: SqsError) -> web.Response:
    fault = error.fault
    party = "Sender" if fault.status < 500 else "Receiver"
    body = {"__type": f"{fault.namespace}#{fault.shape}", "message": error.text}
    return _answer(fault.status, body, {"x-amzn-query-error": f"{fault.code};{party}"})


def _internal_failure() -> SqsError:
    return SqsError(errors.INTERNAL_FAILURE, "The request could not be completed; the emulator's log says why.")
