"""Signing secrets: read, and rotated with an overlap in which both sign."""

from collections.abc import Sequence
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, RowMapping

from functions.adapters import vault
from functions.adapters.database import transaction
from functions.api import audit, operation
from functions.api.caller import Caller
from functions.api.operation import documented
from functions.api.queries import secrets as queries
from functions.api.queries import webhooks
from functions.api.rendering import answer
from functions.api.rotation import MAX_LIVE, already, make_room, rotated
from functions.api.schemas.secrets import RotateSecret, WebhookSecret
from functions.domain import signing
from functions.domain.signing import Algorithm

router = operation.Router()
TAGS = ["webhooks"]
NEW_SECRET = RotateSecret()  # what an empty body asks for


@router.get(
    "/v1/webhooks/<webhook_id>/secret",
    tags=TAGS,
    summary="Read a webhook's signing secrets",
    description="Its own and those that still sign beside it. The audit log keeps who read them.",
    **documented("webhooks:write", 200, WebhookSecret, 401, 403, 404),
)
def read_secret(webhook_id: str) -> Response[str]:
    caller = operation.caller(router, "webhooks:write")
    id = operation.key(webhook_id, "webhook")
    with transaction() as connection:
        own, expiring = _read(connection, caller, id)
        bound = own["application_id"]
        audit.record(connection, caller, "webhook.secret_read", id, level="warning", application_id=bound)
    return _answer(caller, id, own, expiring)


@router.post(
    "/v1/webhooks/<webhook_id>/rotate-secret",
    tags=TAGS,
    summary="Rotate a webhook's signing secret",
    description="The new secret signs at once; the one before goes on signing beside it for `overlap_seconds`, so"
    f" that the endpoint can change over in between. At most {MAX_LIVE} are live at a time.",
    **documented("webhooks:write", 200, WebhookSecret, 400, 401, 403, 404, 409, 412, 413, 415, 422),
)
def rotate_secret(webhook_id: str, rotation: Annotated[RotateSecret, Body()] = NEW_SECRET) -> Response[str]:
    caller = operation.caller(router, "webhooks:write")
    expected, id = operation.expected_version(router), operation.key(webhook_id, "webhook")

    def rotate(connection: Connection, key: AESGCM) -> None:
        webhook = webhooks.lock(connection, caller, id)
        if webhook is None:
            raise operation.missing("webhook")
        operation.check_version(expected, webhook["version"])
        _rotate(connection, caller, key, webhook, rotation)

    def answered() -> Response[str]:
        with transaction() as connection:
            own, expiring = _read(connection, caller, id)
        return _answer(caller, id, own, expiring)

    return rotated(router, caller, rotate, answered)


def _rotate(
    connection: Connection, caller: Caller, key: AESGCM, webhook: RowMapping, rotation: RotateSecret
) -> None:
    id, bound_to = webhook["id"], vault.signing_secret_of(caller.project_id, webhook["id"])
    algorithm, new = wanted = _wanted(rotation, webhook)

    def is_wanted(algorithm: Algorithm, secret: bytes) -> bool:
        return (algorithm, vault.decrypt(key, bound_to, bytes(secret))) == wanted

    def is_given(expiring: RowMapping) -> bool:
        return is_wanted(expiring["algorithm"], expiring["secret"])

    given = rotation.secret is not None
    if given and is_wanted(webhook["signing_algorithm"], webhook["signing_secret"]):
        raise already("webhook")
    make_room(connection, queries, id, "webhook", rotation.overlap_seconds, is_given if given else None)
    changed = {"signing_algorithm": algorithm, "signing_secret": vault.encrypt(key, bound_to, new)}
    webhooks.change_webhook(connection, caller, id, changed)
    audit.record(
        connection,
        caller,
        "webhook.secret_rotated",
        id,
        before={"algorithm": webhook["signing_algorithm"]},
        after={"algorithm": algorithm, "overlap_seconds": rotation.overlap_seconds},
        level="warning",
        application_id=webhook["application_id"],
    )


def _wanted(rotation: RotateSecret, webhook: RowMapping) -> tuple[Algorithm, bytes]:
    if rotation.secret is not None:
        return signing.parse(rotation.secret)
    algorithm: Algorithm = rotation.algorithm or webhook["signing_algorithm"]
    return algorithm, signing.new_key(algorithm)


def _read(connection: Connection, caller: Caller, id: str) -> tuple[RowMapping, Sequence[RowMapping]]:
    own = queries.signing_secret(connection, caller, id)
    if own is None:
        raise operation.missing("webhook")
    return own, queries.expiring(connection, id)


def _answer(caller: Caller, id: str, own: RowMapping, expiring: Sequence[RowMapping]) -> Response[str]:
    """In no transaction: KMS may have to be asked (B5)."""
    key = vault.cipher(bytes(own["data_key"]), caller.project_id)
    bound_to = vault.signing_secret_of(caller.project_id, id)

    def shown(algorithm: Algorithm, secret: bytes) -> dict[str, Any]:
        plain = vault.decrypt(key, bound_to, bytes(secret))
        return {
            "algorithm": algorithm,
            "secret": signing.shown(algorithm, plain),
            "public_key": signing.public_key(algorithm, plain),
        }

    older = [{**shown(row["algorithm"], row["secret"]), "expires_at": row["expires_at"]} for row in expiring]
    body = {**shown(own["signing_algorithm"], own["signing_secret"]), "expiring": older}
    return answer(200, body, version=own["version"])
