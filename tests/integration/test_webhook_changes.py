"""Changing webhooks: field by field, to the version that was read, or not at all."""

from typing import Any

import pytest

from functions.domain.headers import HIDDEN
from tests.integration.conftest import Service
from tests.integration.locks import while_waiting
from tests.integration.webhooks_scene import WHOLE

# Field by field: what a change makes of it, and what `null` does (REFUSED: 422).
REFUSED = object()
CHANGES = [
    ("name", "new", "new", REFUSED),
    ("url", "http://127.0.0.1:9/new", "http://127.0.0.1:9/new", REFUSED),
    ("description", "new", "new", None),
    ("environment", "staging", "staging", None),
    ("headers", {"x-new": "1"}, {"x-new": "1"}, {}),
    ("auth", {"type": "bearer", "token": "t"}, {"type": "bearer"}, {"type": "none"}),
    ("timeout_seconds", 7, 7, REFUSED),
    ("max_attempts", 7, 7, REFUSED),
    (
        *("retry_strategy", {"kind": "custom", "delays_seconds": [1, 2]}),
        *({"kind": "custom", "delays_seconds": [1, 2], "jitter": False}, REFUSED),
    ),
    ("ip_allowlist", ["192.0.2.0/24"], ["192.0.2.0/24"], None),
    ("rate_limit", {"requests": 1, "per_seconds": 2}, {"requests": 1, "per_seconds": 2}, None),
    ("ordering", "none", "none", REFUSED),
]


@pytest.mark.parametrize(("field", "value", "shown", "cleared"), CHANGES)
def test_a_patch_changes_the_field_it_names_and_null_clears_what_may_be_empty(
    service: Service, field: str, value: Any, shown: Any, cleared: Any
) -> None:
    made = service.client("POST", "/v1/webhooks", WHOLE).body
    path = f"/v1/webhooks/{made['id']}"
    changed = service.client("PATCH", path, {field: value})
    assert changed.status == 200
    assert changed.body == {**made, field: shown, "updated_at": changed.body["updated_at"]}
    assert changed.body["updated_at"] > made["updated_at"]
    assert changed.headers["etag"] == '"2"'
    emptied = service.client("PATCH", path, {field: None})
    if cleared is REFUSED:
        assert (emptied.status, emptied.body["error"]["details"][0]["path"]) == (422, field)
        assert {**service.client("GET", path).body, "line": None} == changed.body
    else:
        assert emptied.body == {**changed.body, field: cleared, "updated_at": emptied.body["updated_at"]}


def test_every_field_of_a_change_is_in_the_table() -> None:
    from functions.api.schemas.webhooks import WebhookPatch

    assert [field for field, *_ in CHANGES] == list(WebhookPatch.model_fields)


def test_what_a_change_does_not_take(service: Service) -> None:
    made = service.webhook()
    path = f"/v1/webhooks/{made['id']}"
    for body in (
        *({}, {"id": made["id"]}, {"application_id": None}, {"status": "paused"}, {"event_types": ["*"]}),
        *({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, {"signing_algorithm": "hmac"}),
    ):
        assert service.client("PATCH", path, body).status == 422, body
    read = service.client("GET", path)
    assert (read.body, read.headers["etag"]) == (made, '"1"')


def test_a_hidden_header_keeps_its_value_when_its_mask_is_sent_back(service: Service) -> None:
    made = service.webhook(headers={"X-Api-Key": "k", "X-Tenant": "acme"})
    path = f"/v1/webhooks/{made['id']}"
    kept = service.client("PATCH", path, {"headers": {**made["headers"], "X-Tenant": "umbrella"}}).body
    assert kept["headers"] == {"X-Api-Key": HIDDEN, "X-Tenant": "umbrella"}
    refused = service.client("PATCH", path, {"headers": {"X-Tenant": HIDDEN}})
    assert (refused.status, refused.body["error"]["details"][0]["path"]) == (422, "headers.X-Tenant")
    assert service.client("PATCH", path, {"headers": {"x-other": "1"}}).body["headers"] == {"x-other": "1"}
    gone = service.client("PATCH", path, {"headers": {"X-Api-Key": HIDDEN}})
    assert gone.status == 422, "its value went when the header did"


def test_credentials_that_cannot_be_read_are_mended_by_giving_all_anew(service: Service) -> None:
    made = service.webhook(headers={"x-api-key": "k"}, auth={"type": "bearer", "token": "t"})
    service.sql.run("UPDATE webhook.webhooks SET credentials = 'spoilt by hand, whatever it was'")
    path = f"/v1/webhooks/{made['id']}"
    assert service.client("PATCH", path, {"auth": {"type": "bearer", "token": "new"}}).status == 500
    mended = service.client(
        "PATCH", path, {"auth": {"type": "bearer", "token": "new"}, "headers": {"x-api-key": "k"}}
    )
    assert mended.status == 200
    kept = service.client("PATCH", path, {"headers": mended.body["headers"]})
    assert kept.body["headers"] == {"x-api-key": HIDDEN}


def test_a_change_is_made_to_the_version_that_was_read_or_not_at_all(service: Service) -> None:
    made = service.webhook()
    path = f"/v1/webhooks/{made['id']}"
    assert service.client("PATCH", path, {"name": "two"}, headers={"if-match": '"1"'}).headers["etag"] == '"2"'
    for method, body in (("PATCH", {"name": "three"}), ("DELETE", None)):
        stale = service.client(method, path, body, headers={"if-match": '"1"'})
        assert (stale.status, stale.body["error"]["code"]) == (412, "precondition_failed")
        assert service.client(method, path, body, headers={"if-match": "2"}).status == 400
    assert service.client("GET", path).body["name"] == "two"
    assert service.client("PATCH", path, {"name": "three"}, headers={"if-match": "*"}).status == 200
    assert service.client("DELETE", path, headers={"if-match": '"3"'}).status == 204


def test_a_change_that_waits_for_another_sees_what_that_did(service: Service) -> None:
    made = service.webhook(headers={"x-api-key": "k"})
    path = f"/v1/webhooks/{made['id']}"
    another = "UPDATE webhook.webhooks SET version = version + 1 WHERE id = :id"
    kept = {"headers": {"x-api-key": HIDDEN}}
    stale = while_waiting(
        service,
        another,
        lambda: service.client("PATCH", path, kept, headers={"if-match": '"1"'}),
        id=made["id"],
    )
    assert stale.status == 412
    late = while_waiting(service, another, lambda: service.client("PATCH", path, kept), id=made["id"])
    assert (late.status, late.headers["etag"]) == (200, '"4"')


def test_a_change_that_waits_for_the_webhooks_end_finds_it_gone(service: Service) -> None:
    made = service.webhook(headers={"x-api-key": "k"})
    path = f"/v1/webhooks/{made['id']}"
    end = "UPDATE webhook.webhooks SET deleted_at = now(), credentials = NULL WHERE id = :id"
    kept = {"headers": {"x-api-key": HIDDEN}}
    late = while_waiting(service, end, lambda: service.client("PATCH", path, kept), id=made["id"])
    assert late.status == 404


def test_events_are_accepted_while_a_webhook_is_being_changed(service: Service) -> None:
    webhook = service.webhook()
    service.sql.run("BEGIN")
    service.sql.run("UPDATE webhook.webhooks SET name = 'another' WHERE id = :id", id=webhook["id"])
    assert service.event()["webhooks_matched"] == 1
    service.sql.run("COMMIT")


def test_changes_are_in_the_audit_log(service: Service) -> None:
    made = service.webhook(headers={"x-api-key": "k"})
    path = f"/v1/webhooks/{made['id']}"
    changed = service.client("PATCH", path, {"name": "new"}).body
    service.client("DELETE", path)
    rows = service.sql.run(
        "SELECT event, level, before, after FROM webhook.audit_log WHERE resource_id = :id ORDER BY id",
        id=made["id"],
    )
    assert [row[:2] for row in rows] == [
        ["webhook.created", "info"],
        ["webhook.updated", "info"],
        ["webhook.deleted", "warning"],
    ]
    assert rows[0][2:] == [None, made]
    assert rows[1][2:] == [made, changed]
    assert rows[2][2:] == [changed, None]
