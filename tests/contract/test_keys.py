"""Every operation of the document with every key that must not open it: 401 or 403, in the one shape of errors."""

from typing import get_args

import pytest

from functions.domain.api_keys import Scope
from tests.contract.documented import load, operations
from tests.contract.world import Things, key_of, rows, things, with_keys
from tests.integration.conftest import Client, Service

OPERATIONS = [one for one in operations(load()) if one.path.startswith("/v1/")]


@pytest.fixture
def own(service: Service) -> Things:
    return with_keys(service, service.project_id, things(service, service.client))


def test_without_a_good_key_every_operation_is_refused(service: Service, own: Things) -> None:
    before = rows(service.sql)
    for operation in OPERATIONS:
        body = operation.examples[0] if operation.examples else None
        for key in ("", "nothing", "hl_AAAAAAAAAAAA_" + "A" * 40, "the-admin-key2"):
            answer = Client(key)(operation.method, own.filled(operation.path), body)
            assert answer.status == 401, (str(operation), key, answer.body)
            assert answer.body["error"]["code"] == "unauthorized"
            assert answer.body["error"]["request_id"]
    assert rows(service.sql) == before


def test_revoked_and_expired_keys_open_nothing(service: Service, own: Things) -> None:
    path = f"/v1/projects/{service.project_id}/api-keys"
    made = {name: service.admin("POST", path, {"name": name, "scopes": ["*"]}).body for name in ("a", "b")}
    assert service.admin("DELETE", f"{path}/{made['a']['id']}").status == 204
    service.sql.run(
        "UPDATE webhook.api_keys SET expires_at = now() - interval '1 second' WHERE id = CAST(:id AS uuid)",
        id=made["b"]["id"],
    )
    before = rows(service.sql)
    for operation in OPERATIONS:
        body = operation.examples[0] if operation.examples else None
        for key in made.values():
            answer = Client(key["key"])(operation.method, own.filled(operation.path), body)
            assert answer.status == 401, (str(operation), key["name"], answer.body)
    assert rows(service.sql) == before


def test_the_wrong_kind_of_key_is_refused(service: Service, own: Things) -> None:
    before = rows(service.sql)
    for operation in OPERATIONS:
        body = operation.examples[0] if operation.examples else None
        wrong = service.client if operation.takes_admin_key else service.admin
        if operation.takes_admin_key and operation.takes_project_key:
            continue
        answer = wrong(operation.method, own.filled(operation.path), body)
        assert answer.status == 403, (str(operation), answer.body)
        assert answer.body["error"]["code"] == "forbidden"
    assert rows(service.sql) == before


def test_every_scope_but_the_one_that_is_needed_is_not_enough(service: Service, own: Things) -> None:
    scopes = [scope for scope in get_args(Scope) if scope != "*"]
    clients = {left: key_of(service, [scope for scope in scopes if scope != left]) for left in scopes}
    before = rows(service.sql)
    for operation in OPERATIONS:
        for scope in operation.scopes:
            body = operation.examples[0] if operation.examples else None
            answer = clients[scope](operation.method, own.filled(operation.path), body)
            assert answer.status == 403, (str(operation), answer.body)
            assert scope in answer.body["error"]["message"]
    assert rows(service.sql) == before
