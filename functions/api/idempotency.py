"""Idempotency-Key (P3): the same key and body answer alike, the same key with another body is refused.

The key is stored in the transaction of what it guards: both are there or neither. Two requests at once wait for
each other on the key's row, so the second finds the first one's answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection, text

from functions.api.caller import Caller
from functions.errors import IdempotencyMismatch
from functions.statements import named

# A day: longer than any retry of a caller's own queue should take. An older key may be used anew.
TAKE = named(
    "idempotency.take",
    text("""
INSERT INTO webhook.idempotency_keys AS k (owner_id, key, request_hash)
VALUES (CAST(:owner AS uuid), :key, :hash)
ON CONFLICT (owner_id, key) DO UPDATE
SET request_hash = excluded.request_hash, response_status = NULL, response_body = NULL, response_version = NULL,
  created_at = now()
WHERE k.created_at < now() - interval '24 hours'
RETURNING key
"""),
)
FIRST_ANSWER = named(
    "idempotency.first_answer",
    text("""
SELECT request_hash, response_status, response_body, response_version FROM webhook.idempotency_keys
WHERE owner_id = CAST(:owner AS uuid) AND key = :key
"""),
)
KEEP = named(
    "idempotency.keep",
    text("""
UPDATE webhook.idempotency_keys
SET response_status = :status, response_body = :body, response_version = CAST(:version AS integer)
WHERE owner_id = CAST(:owner AS uuid) AND key = :key
"""),
)


@dataclass(frozen=True)
class Answer:
    """`kept` is what a repetition gets, where that must differ (a key that is shown once). `version` becomes the
    ETag, of a repetition too.
    """

    status: int
    body: str
    kept: str | None = None
    version: int | None = None
    repeated: bool = False


@dataclass(frozen=True)
class Guard:
    """What identifies a request: who sent it, under which key, and the digest of what it says."""

    owner_id: str
    key: str | None
    request_hash: bytes

    @classmethod
    def of(cls, caller: Caller, key: str | None, method: str, path: str, body: str) -> "Guard":
        digest = sha256(f"{method} {path}\n{body}".encode("utf-8", "surrogatepass")).digest()
        return cls(caller.owner_id, key, digest)


def once(connection: Connection, guard: Guard, produce: Callable[[], Answer]) -> Answer:
    """The answer of `produce`, or the one it gave the first time. Raises IdempotencyMismatch."""
    if guard.key is None:
        return produce()
    row = {"owner": guard.owner_id, "key": guard.key}
    taken = connection.execute(TAKE, {**row, "hash": guard.request_hash}).one_or_none()
    if taken is None:
        return _first_answer(connection, guard, row)
    made = produce()
    kept = {"status": made.status, "body": made.kept or made.body, "version": made.version}
    connection.execute(KEEP, {**row, **kept})
    return made


def _first_answer(connection: Connection, guard: Guard, row: dict[str, str]) -> Answer:
    first = connection.execute(FIRST_ANSWER, row).one()
    if bytes(first.request_hash) != guard.request_hash:
        raise IdempotencyMismatch("this Idempotency-Key was used for another request in the last 24 hours")
    return Answer(first.response_status, first.response_body, version=first.response_version, repeated=True)
