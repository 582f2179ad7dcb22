"""Sources: what posts to `/in/{id}`."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, RowMapping, null

from functions.adapters import gateway, vault
from functions.adapters.database import transaction
from functions.api import audit, operation, paging
from functions.api.caller import Caller
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import applications, webhooks
from functions.api.queries import sources as queries
from functions.api.queries.sources import Filter
from functions.api.rendering import answer, no_content, to_json
from functions.api.schemas.base import Page
from functions.api.schemas.sources import OF_KIND, Source, SourceIn, SourcePatch, misfits, usual_body_bytes
from functions.domain.ids import uuid7
from functions.domain.senders import registry
from functions.domain.senders.base import Kind
from functions.errors import Detail, Invalid

router = operation.Router()
TAGS = ["sources"]
PATH = "/v1/sources"
ONE = f"{PATH}/<source_id>"
NOT_COLUMNS = {"application_id", "secret", "credentials"}  # of the fields that are given
NOTHING: dict[str, Any] = {"event_types": {}}  # what null is stored as where the column is never null


@router.post(
    PATH,
    tags=TAGS,
    summary="Create a source",
    description="The sender is to post to its `url`. Its secret is made unless one is given, and read at"
    " `/v1/sources/{id}/secret`. What a key that is bound to an application makes is bound to that application,"
    " and so are its events.",
    **documented("sources:write", 201, Source, 400, 401, 403, 404, 409, 413, 415, 422),
)
def create_source(source: Annotated[SourceIn, Body()]) -> Response[str]:
    caller = operation.caller(router, "sources:write")
    id, key = uuid7(), _cipher(caller)
    secret = (source.secret or registry.new_secret(source.kind)).encode()
    usual = {"max_body_bytes": usual_body_bytes(source.kind)}
    given = usual | source.model_dump(by_alias=True, exclude_none=True)
    by = {"id": id, "project_id": caller.project_id, "created_by": caller.key_id, "updated_by": caller.key_id}
    encrypted = {"secret": vault.encrypt(key, vault.source_secret_of(caller.project_id, id), secret)}
    values = _plain(given) | encrypted | _credentials(key, caller, id, given) | by

    def produce(connection: Connection) -> Answer:
        bound = applications.binding(connection, caller, source.application_id)
        queries.add_source(connection, {**values, "application_id": bound})
        made, version = _read(connection, caller, id)
        audit.record(connection, caller, "source.created", id, after=made, application_id=bound)
        return Answer(201, to_json(_with_url(made)), version=version)

    return operation.post(router, caller, produce)


@router.get(
    PATH,
    tags=TAGS,
    summary="List sources",
    **documented("sources:read", 200, Page[Source], 401, 403, 404, 422),
)
def list_sources(
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    kind: Annotated[Kind | None, Query()] = None,
    application_id: Annotated[
        paging.Text, Query(max_length=255, description="Only this application's: its id or uid")
    ] = "",
    created_after: paging.After = None,
    created_before: paging.Before = None,
) -> Response[str]:
    caller = operation.caller(router, "sources:read")
    with transaction() as connection:
        bound = applications.resolve_for_reading(connection, caller, application_id) if application_id else ""
        wanted = Filter(kind or "", bound, created_after, created_before)
        page = queries.list_sources(connection, caller, wanted, limit=limit, cursor=cursor)
    return answer(200, {**page, "data": [_with_url(row) for row in page["data"]]})


@router.get(
    ONE,
    tags=TAGS,
    summary="Read a source",
    **documented("sources:read", 200, Source, 401, 403, 404),
)
def read_source(source_id: str) -> Response[str]:
    caller = operation.caller(router, "sources:read")
    with transaction() as connection:
        found, version = _read(connection, caller, operation.key(source_id, "source"))
    return answer(200, _with_url(found), version=version)


@router.patch(
    ONE,
    tags=TAGS,
    summary="Change a source",
    description="Fields that are absent stay; an object or a list that is given replaces the whole one. `null`"
    " clears `description`, `environment`, `event_types`, `ip_allowlist`, `rescrape` and `credentials`, and is"
    " refused elsewhere. It counts for the very next request of the sender. Its kind stays; its secrets have calls"
    " of their own.",
    **documented("sources:write", 200, Source, 400, 401, 403, 404, 412, 413, 415, 422),
)
def change_source(source_id: str, source: Annotated[SourcePatch, Body()]) -> Response[str]:
    caller = operation.caller(router, "sources:write")
    expected, id = operation.expected_version(router), operation.key(source_id, "source")
    given = _given(source)
    if not given:
        raise Invalid("nothing to change: the body names no field")
    key = _cipher(caller) if given.get("credentials") else None
    with transaction() as connection:
        stored = _locked(connection, caller, id, expected)
        _check_fits(stored["kind"], given)
        before, _ = _read(connection, caller, id)
        queries.change_source(connection, caller, id, _plain(given) | _credentials(key, caller, id, given))
        after, version = _read(connection, caller, id)
        bound = stored["application_id"]
        audit.record(connection, caller, "source.updated", id, before=before, after=after, application_id=bound)
    return answer(200, _with_url(after), version=version)


@router.delete(
    ONE,
    tags=TAGS,
    summary="Delete a source",
    description="What is posted to it from now on gets 404; its secrets and credentials are deleted. What it sent"
    " stays readable.",
    **documented("sources:write", 204, None, 400, 401, 403, 404, 412),
)
def delete_source(source_id: str) -> Response[str]:
    caller = operation.caller(router, "sources:write")
    expected, id = operation.expected_version(router), operation.key(source_id, "source")
    with transaction() as connection:
        bound = _locked(connection, caller, id, expected)["application_id"]
        before, _ = _read(connection, caller, id)
        queries.delete_source(connection, caller, id)
        audit.record(
            connection, caller, "source.deleted", id, before=before, level="warning", application_id=bound
        )
    return no_content()


def _given(source: SourcePatch) -> dict[str, Any]:
    """What the body names. What is absent within an object is not there, what is null of the whole is."""
    whole = source.model_dump(include=source.model_fields_set, by_alias=True, exclude_none=True)
    return {name: whole.get(name) for name in source.model_fields_set}


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of all fields but the encrypted ones."""
    values = {name: value for name, value in given.items() if name not in NOT_COLUMNS}
    return {name: NOTHING.get(name, null()) if value is None else value for name, value in values.items()}


def _credentials(key: AESGCM | None, caller: Caller, id: str, given: Mapping[str, Any]) -> dict[str, Any]:
    if "credentials" not in given:
        return {}
    if key is None or given["credentials"] is None:
        return {"credentials": None}
    bound_to = vault.source_credentials_of(caller.project_id, id)
    return {"credentials": vault.encrypt(key, bound_to, json.dumps(given["credentials"]).encode())}


def _check_fits(kind: Kind, given: Mapping[str, Any]) -> None:
    """Raises Invalid."""
    found = misfits(kind, {name: given[name] for name in OF_KIND if name in given})
    if found:
        details = tuple(Detail(path, said) for path, said in found)
        raise Invalid("the request is not valid; `details` say where", details=details)


def _read(connection: Connection, caller: Caller, id: str) -> tuple[dict[str, Any], int]:
    """What the API shows of a source, but for where it is asked, and its version. Raises NotFound."""
    row = queries.source(connection, caller, id)
    if row is None:
        raise operation.missing("source")
    return row, row.pop("version")


def _with_url(row: dict[str, Any]) -> dict[str, Any]:
    """The same path under whatever name the API was asked by."""
    return {**row, "url": gateway.base_url(router.current_event.raw_event) + row["url"]}


def _locked(connection: Connection, caller: Caller, id: str, expected: int | None) -> RowMapping:
    """Raises NotFound or PreconditionFailed."""
    row = queries.lock(connection, caller, id)
    if row is None:
        raise operation.missing("source")
    operation.check_version(expected, row["version"])
    return row


def _cipher(caller: Caller) -> AESGCM:
    """In no transaction: KMS may have to be asked (B5)."""
    with transaction() as connection:
        data_key = webhooks.data_key(connection, caller.project_id)
    return vault.cipher(data_key, caller.project_id)
