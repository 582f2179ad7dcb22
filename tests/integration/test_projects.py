"""Projects and their API keys; and who a key is."""

from collections.abc import Callable

import pytest

from tests.integration.conftest import Client, Service

NewProject = Callable[..., tuple[str, Client]]
NOBODY = "01a1f8b1-9224-7dd5-93c0-8632c1ed87f3"


def project_of(service: Service) -> str:
    return f"/v1/projects/{service.project_id}"


def keys_of(service: Service) -> str:
    return f"{project_of(service)}/api-keys"


def catalog_version(service: Service) -> int:
    return int(
        service.sql.run("SELECT catalog_version FROM webhook.projects WHERE id = :id", id=service.project_id)[0][0]
    )


def audited(service: Service, query: str) -> list[dict]:
    return service.client("GET", f"/v1/audit-log?{query}").body["data"]


def test_a_project_reads_back_and_carries_its_version(service: Service) -> None:
    made = service.admin("POST", "/v1/projects", {"name": "new"}, headers={"idempotency-key": "p"})
    again = service.admin("POST", "/v1/projects", {"name": "new"}, headers={"idempotency-key": "p"})
    read = service.admin("GET", f"/v1/projects/{made.body['id']}")
    assert made.body["validation"] == "off"
    assert made.body == again.body == read.body
    assert made.headers["etag"] == again.headers["etag"] == read.headers["etag"] == '"1"'


def test_projects_are_found_by_the_beginning_of_their_name(service: Service, new_project: NewProject) -> None:
    other, _ = new_project()

    def found(query: str) -> list[str]:
        return [one["id"] for one in service.admin("GET", f"/v1/projects?{query}").body["data"]]

    assert found("") == [other, service.project_id]
    assert found("name=ANO") == [other]
    assert found("name=nother") == found("created_before=2000-01-01T00:00:00Z") == []


def test_a_changed_project_has_a_new_version_and_its_validation_a_new_catalog(service: Service) -> None:
    path, before = project_of(service), catalog_version(service)
    renamed = service.admin("PATCH", path, {"name": "renamed"})
    assert (renamed.status, renamed.body["name"], renamed.headers["etag"]) == (200, "renamed", '"2"')
    assert service.admin("PATCH", path, {"validation": "off"}).headers["etag"] == '"3"'
    assert catalog_version(service) == before
    enforced = service.admin("PATCH", path, {"validation": "enforce"})
    assert enforced.body["validation"] == "enforce"
    assert catalog_version(service) == before + 1
    assert service.admin("GET", path).body == enforced.body
    last, *_ = audited(service, "event=project.updated")
    assert (last["before"]["validation"], last["after"]["validation"]) == ("off", "enforce")
    assert (last["actor"], last["resource"]) == (
        {"type": "admin", "id": None},
        {"type": "project", "id": service.project_id},
    )


def test_a_stale_version_of_a_project_is_412(service: Service) -> None:
    path = project_of(service)
    assert service.admin("PATCH", path, {"name": "a"}, headers={"if-match": '"1"'}).status == 200
    assert service.admin("PATCH", path, {"name": "b"}, headers={"if-match": '"1"'}).status == 412
    assert service.admin("PATCH", path, {"name": "b"}, headers={"if-match": "1"}).status == 400
    assert service.admin("GET", path).body["name"] == "a"


@pytest.mark.parametrize(
    "values", [{}, {"name": None}, {"name": ""}, {"validation": None}, {"validation": "on"}, {"version": 1}]
)
def test_a_bad_change_of_a_project_is_422(service: Service, values: dict) -> None:
    answer = service.admin("PATCH", project_of(service), values)
    assert answer.status == 422
    assert [one["path"] for one in answer.body["error"]["details"]] == list(values)


def test_a_projects_own_key_does_not_change_projects(service: Service) -> None:
    assert service.client("PATCH", project_of(service), {"name": "n"}).status == 403
    assert service.admin("PATCH", f"/v1/projects/{NOBODY}", {"name": "n"}).status == 404
    assert service.admin("PATCH", "/v1/projects/x", {"name": "n"}).status == 404


def test_who_a_key_is(service: Service) -> None:
    acme = service.application(uid="acme")["id"]
    bound = service.key("webhooks:read", "events:write", application_id="acme")("GET", "/v1/whoami")
    assert bound.status == 200
    assert bound.body == {
        "admin": False,
        "project_id": service.project_id,
        "application_id": acme,
        "key_id": bound.body["key_id"],
        "scopes": ["events:write", "webhooks:read"],
    }
    unbound = service.client("GET", "/v1/whoami").body
    assert (unbound["application_id"], unbound["scopes"]) == (None, ["*"])
    nobody = {"project_id": None, "application_id": None, "key_id": None}
    assert service.admin("GET", "/v1/whoami").body == {"admin": True, **nobody, "scopes": []}
    assert Client("x")("GET", "/v1/whoami").status == 401


def test_a_key_is_bound_by_the_id_or_the_uid_of_an_application_of_its_project(
    service: Service, new_project: NewProject
) -> None:
    acme = service.application(uid="acme")["id"]
    _, stranger = new_project()
    elsewhere = stranger("POST", "/v1/applications", {"name": "n", "uid": "elsewhere"}).body["id"]
    wanted = {"name": "k", "scopes": ["*"]}
    for name in (acme, "acme"):
        made = service.admin("POST", keys_of(service), {**wanted, "application_id": name})
        assert (made.status, made.body["application_id"]) == (201, acme)
        read = service.admin("GET", f"{keys_of(service)}/{made.body['id']}")
        assert {**read.body, "key": made.body["key"]} == made.body
    for name in ("elsewhere", elsewhere, "nothing", NOBODY, "a b", "a\0", ""):
        refused = service.admin("POST", keys_of(service), {**wanted, "application_id": name})
        assert (refused.status, refused.body["error"]["details"][0]["path"]) == (422, "application_id")
    assert len(service.admin("GET", f"{keys_of(service)}?application_id=acme").body["data"]) == 2


def test_keys_are_found_by_application_prefix_and_whether_they_work(service: Service) -> None:
    service.application(uid="acme")
    key = service.key(application_id="acme")
    bound = key("GET", "/v1/whoami").body["key_id"]
    revoked = service.key()("GET", "/v1/whoami").body["key_id"]
    expired = service.key()("GET", "/v1/whoami").body["key_id"]
    service.admin("DELETE", f"{keys_of(service)}/{revoked}")
    service.sql.run("UPDATE webhook.api_keys SET expires_at = now() WHERE id = :id", id=expired)

    def found(query: str) -> set[str]:
        listed = service.admin("GET", f"{keys_of(service)}?{query}")
        assert listed.status == 200, listed.body
        return {one["id"] for one in listed.body["data"]}

    mine = service.client("GET", "/v1/whoami").body["key_id"]
    assert found("") == {mine, bound, revoked, expired}
    assert found("active=true") == {mine, bound}
    assert found("active=false") == {revoked, expired}
    assert found(f"prefix={key.key.split('_')[1]}") == {bound}
    assert found("application_id=acme&active=true") == {bound}
    service.client("DELETE", "/v1/applications/acme")
    (gone,) = audited(service, "event=application.deleted")
    assert found(f"application_id={gone['resource']['id']}&active=false") == {bound}
    assert service.admin("GET", f"{keys_of(service)}?application_id=acme").status == 422
    assert service.admin("GET", f"{keys_of(service)}?active=perhaps").status == 422


def test_a_key_that_is_not_the_projects_is_404(service: Service, new_project: NewProject) -> None:
    other, stranger = new_project()
    theirs = stranger("GET", "/v1/whoami").body["key_id"]
    for id in (theirs, NOBODY, "x"):
        assert service.admin("GET", f"{keys_of(service)}/{id}").status == 404
        assert service.admin("DELETE", f"{keys_of(service)}/{id}").status == 404
    assert stranger("GET", "/v1/whoami").status == 200
    assert service.admin("GET", f"/v1/projects/{NOBODY}/api-keys").status == 404
    assert service.admin("GET", f"/v1/projects/{other}/api-keys/{theirs}").status == 200
    assert service.client("GET", f"{keys_of(service)}/{theirs}").status == 403


def test_making_and_revoking_a_key_is_audited_once_and_without_the_key(service: Service) -> None:
    acme = service.application(uid="acme")["id"]
    headers = {"idempotency-key": "k"}
    wanted = {"name": "k", "scopes": ["audit:read"], "application_id": "acme"}
    made = service.admin("POST", keys_of(service), wanted, headers=headers).body
    service.admin("POST", keys_of(service), wanted, headers=headers)
    for _ in range(2):
        assert service.admin("DELETE", f"{keys_of(service)}/{made['id']}").status == 204
    revoked, created = audited(service, f"resource_id={made['id']}")
    assert (created["event"], created["level"], created["before"]) == ("api_key.created", "info", None)
    assert created["after"] == {name: value for name, value in made.items() if name != "key"}
    assert (revoked["event"], revoked["level"]) == ("api_key.revoked", "warning")
    assert revoked["before"]["revoked_at"] is None
    assert revoked["after"]["revoked_at"] is not None
    assert created["application_id"] == revoked["application_id"] == acme
    assert made["key"].rpartition("_")[2] not in str(service.sql.run("SELECT * FROM webhook.audit_log"))
