"""Rotating a secret, whosever it is: the new one is in force at once, those before it for a while."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from aws_lambda_powertools.event_handler import Response
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, RowMapping

from functions.adapters import vault
from functions.adapters.database import transaction
from functions.api import operation
from functions.api.caller import Caller
from functions.api.idempotency import Answer
from functions.api.operation import Router
from functions.api.queries import webhooks
from functions.api.rendering import rfc3339
from functions.errors import Conflict, Detail, Invalid

MAX_LIVE = 5  # its owner's own and four that expire: each costs a delivery a signature, a request a comparison


class Kept(Protocol):
    """Where an owner's secrets are kept that were rotated out (queries/secrets.py, queries/source_secrets.py)."""

    def expiring(self, connection: Connection, owner_id: str, /) -> Sequence[RowMapping]: ...
    def retire(self, connection: Connection, owner_id: str, overlap_seconds: int, /) -> None: ...
    def forget(self, connection: Connection, owner_id: str, /, *which: Any) -> None: ...


def rotated(
    router: Router,
    caller: Caller,
    rotate: Callable[[Connection, AESGCM], None],
    answered: Callable[[], Response[str]],
) -> Response[str]:
    """Rotate in a transaction of its own, and answer what is in force then.

    The secrets are read anew for the answer: none is kept with an idempotency key.
    """
    with transaction() as connection:
        data_key = webhooks.data_key(connection, caller.project_id)
    key = vault.cipher(data_key, caller.project_id)

    def produce(connection: Connection) -> Answer:
        rotate(connection, key)
        return Answer(200, "{}")

    done = operation.post(router, caller, produce)
    response = answered()
    if "idempotency-replayed" in done.headers:
        response.headers["idempotency-replayed"] = "true"
    return response


def make_room(
    connection: Connection,
    kept: Kept,
    owner_id: str,
    what: str,
    overlap_seconds: int,
    is_given: Callable[[RowMapping], bool] | None,
) -> None:
    """Put the present secret of the `what` beside those that expire; with no overlap, forget them all.

    Whoever gives a secret that was rotated out takes that one back: it is live once (`is_given`). Raises Conflict
    when too many are live.
    """
    live = list(kept.expiring(connection, owner_id))
    if is_given is not None:
        back = [row["id"] for row in live if is_given(row)]
        kept.forget(connection, owner_id, *back)
        live = [row for row in live if row["id"] not in back]
    if overlap_seconds == 0:
        kept.forget(connection, owner_id, *(row["id"] for row in live))
    elif len(live) + 1 < MAX_LIVE:
        kept.forget(connection, owner_id)
        kept.retire(connection, owner_id, overlap_seconds)
    else:
        until = rfc3339(min(row["expires_at"] for row in live))
        raise Conflict(
            f"the {what} has {MAX_LIVE} live secrets: wait for the next to expire at {until}, or rotate with"
            " overlap_seconds 0, after which the new one is the only one"
        )


def already(what: str) -> Invalid:
    """That the secret which is given is in force already."""
    return Invalid(f"this is the {what}'s secret already", details=(Detail("secret", "is in force already"),))
