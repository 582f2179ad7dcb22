"""Secrets of sources: read, and rotated with an overlap in which both are taken."""

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
from functions.api.queries import source_secrets as queries
from functions.api.queries import sources
from functions.api.rendering import answer
from functions.api.rotation import MAX_LIVE, already, make_room, rotated
from functions.api.schemas.sources import RotateSourceSecret, SourceSecret, wrong_secret
from functions.domain.senders import registry
from functions.domain.senders.base import Kind
from functions.errors import Detail, Invalid

router = operation.Router()
TAGS = ["sources"]
NEW_SECRET = RotateSourceSecret()  # what an empty body asks for


@router.get(
    "/v1/sources/<source_id>/secret",
    tags=TAGS,
    summary="Read a source's secrets",
    description="Its own and those that are still taken beside it. The audit log keeps who read them.",
    **documented("sources:write", 200, SourceSecret, 401, 403, 404),
)
def read_source_secret(source_id: str) -> Response[str]:
    caller = operation.caller(router, "sources:write")
    id = operation.key(source_id, "source")
    with transaction() as connection:
        own, expiring = _read(connection, caller, id)
        bound = own["application_id"]
        audit.record(connection, caller, "source.secret_read", id, level="warning", application_id=bound)
    return _answer(caller, id, own, expiring)


@router.post(
    "/v1/sources/<source_id>/rotate-secret",
    tags=TAGS,
    summary="Rotate a source's secret",
    description="The new secret is taken at once; the one before goes on being taken for `overlap_seconds`, so"
    f" that the sender can change over in between. At most {MAX_LIVE} are live at a time.",
    **documented("sources:write", 200, SourceSecret, 400, 401, 403, 404, 409, 412, 413, 415, 422),
)
def rotate_source_secret(
    source_id: str, rotation: Annotated[RotateSourceSecret, Body()] = NEW_SECRET
) -> Response[str]:
    caller = operation.caller(router, "sources:write")
    expected, id = operation.expected_version(router), operation.key(source_id, "source")

    def rotate(connection: Connection, key: AESGCM) -> None:
        source = sources.lock(connection, caller, id)
        if source is None:
            raise operation.missing("source")
        operation.check_version(expected, source["version"])
        _rotate(connection, caller, key, source, rotation)

    def answered() -> Response[str]:
        with transaction() as connection:
            own, expiring = _read(connection, caller, id)
        return _answer(caller, id, own, expiring)

    return rotated(router, caller, rotate, answered)


def _rotate(
    connection: Connection, caller: Caller, key: AESGCM, source: RowMapping, rotation: RotateSourceSecret
) -> None:
    id, bound_to = source["id"], vault.source_secret_of(caller.project_id, source["id"])
    _check_secret(source["kind"], rotation.secret)

    def is_given(row: RowMapping) -> bool:
        return vault.decrypt(key, bound_to, bytes(row["secret"])).decode() == rotation.secret

    given = rotation.secret is not None
    if given and is_given(source):
        raise already("source")
    make_room(connection, queries, id, "source", rotation.overlap_seconds, is_given if given else None)
    new = rotation.secret or registry.new_secret(source["kind"])
    sources.change_source(connection, caller, id, {"secret": vault.encrypt(key, bound_to, new.encode())})
    audit.record(
        connection,
        caller,
        "source.secret_rotated",
        id,
        after={"overlap_seconds": rotation.overlap_seconds},
        level="warning",
        application_id=source["application_id"],
    )


def _check_secret(kind: Kind, given: str | None) -> None:
    """Raises Invalid."""
    if found := wrong_secret(kind, given):
        details = tuple(Detail(path, said) for path, said in found)
        raise Invalid("the request is not valid; `details` say where", details=details)


def _read(connection: Connection, caller: Caller, id: str) -> tuple[RowMapping, Sequence[RowMapping]]:
    own = queries.own(connection, caller, id)
    if own is None:
        raise operation.missing("source")
    return own, queries.expiring(connection, id)


def _answer(caller: Caller, id: str, own: RowMapping, expiring: Sequence[RowMapping]) -> Response[str]:
    """In no transaction: KMS may have to be asked (B5)."""
    key = vault.cipher(bytes(own["data_key"]), caller.project_id)
    bound_to = vault.source_secret_of(caller.project_id, id)

    def shown(secret: bytes) -> dict[str, Any]:
        return {"secret": vault.decrypt(key, bound_to, bytes(secret)).decode()}

    older = [{**shown(row["secret"]), "expires_at": row["expires_at"]} for row in expiring]
    return answer(200, {**shown(own["secret"]), "expiring": older}, version=own["version"])
