"""Signing secrets: symmetric and ed25519, brought or made, rotated with an overlap."""

import json
from base64 import b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook

from functions.deliver import handler as deliver
from tests.integration.conftest import Answer, Context, Service
from tests.integration.endpoint import Endpoint, Received
from tests.integration.locks import while_waiting

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PRIVATE = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="


def secret(service: Service, webhook: dict) -> dict:
    answer = service.client("GET", f"/v1/webhooks/{webhook['id']}/secret")
    assert answer.status == 200, answer.body
    return dict(answer.body)


def rotate(service: Service, webhook: dict, body: dict | None = None, **headers: str) -> Answer:
    return service.client(
        "POST",
        f"/v1/webhooks/{webhook['id']}/rotate-secret",
        body,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def received(service: Service, receiver: Endpoint) -> Received:
    """What the endpoint gets of a new event."""
    receiver.received.clear()
    service.event()
    deliver.handler({"Records": service.messages()}, Context())
    (got,) = receiver.received
    return got


def verifies(got: Received, public_key: str) -> bool:
    """As an endpoint does that has only the public key."""
    key = Ed25519PublicKey.from_public_bytes(b64decode(public_key.removeprefix("whpk_")))
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    for one in got.headers["webhook-signature"].split():
        version, _, signature = one.partition(",")
        if version == "v1a":
            try:
                key.verify(b64decode(signature), signed)
            except Exception:  # noqa: BLE001, S112 - whatever is wrong with it
                continue
            return True
    return False


def expire(service: Service) -> None:
    service.sql.run("UPDATE webhook.webhook_expiring_secrets SET expires_at = now() - interval '1 s'")


def test_a_given_secret_is_kept_and_none_is_stored_in_clear(service: Service) -> None:
    given, made = service.webhook(secret=SECRET), service.webhook()
    assert secret(service, given) == {"algorithm": "hmac", "secret": SECRET, "public_key": None, "expiring": []}
    assert secret(service, made)["secret"].startswith("whsec_")
    assert secret(service, made)["secret"] != SECRET
    assert "secret" not in given
    ((stored,),) = service.sql.run("SELECT signing_secret FROM webhook.webhooks WHERE id = :id", id=given["id"])
    assert b64decode(SECRET.removeprefix("whsec_")) not in stored


def test_an_ed25519_webhook_shows_its_public_key_and_never_the_private_one(
    service: Service, receiver: Endpoint
) -> None:
    webhook = service.webhook(url=receiver.url, signing_algorithm="ed25519")
    assert webhook["signing_algorithm"] == "ed25519"
    shown = secret(service, webhook)
    assert (shown["algorithm"], shown["secret"]) == ("ed25519", None)
    got = received(service, receiver)
    assert got.headers["webhook-signature"].startswith("v1a,")
    assert verifies(got, shown["public_key"])
    assert not verifies(got, PUBLIC)


def test_a_private_key_may_be_brought(service: Service, receiver: Endpoint) -> None:
    webhook = service.webhook(url=receiver.url, secret=PRIVATE)
    assert webhook["signing_algorithm"] == "ed25519"
    assert secret(service, webhook)["public_key"] == PUBLIC
    assert verifies(received(service, receiver), PUBLIC)


def test_a_secret_of_another_algorithm_than_asked_for_is_refused(service: Service) -> None:
    body = {"name": "n", "url": "http://127.0.0.1:9/", "secret": SECRET, "signing_algorithm": "ed25519"}
    refused = service.client("POST", "/v1/webhooks", body)
    assert (refused.status, refused.body["error"]["details"][0]["path"]) == (422, "signing_algorithm")
    refused = rotate(service, service.webhook(), {"secret": PRIVATE, "algorithm": "hmac"})
    assert (refused.status, refused.body["error"]["details"][0]["path"]) == (422, "algorithm")


def test_while_secrets_overlap_both_sign_and_then_the_new_one_alone(service: Service, receiver: Endpoint) -> None:
    webhook = service.webhook(url=receiver.url)
    old = secret(service, webhook)["secret"]
    rotated = rotate(service, webhook)
    assert rotated.status == 200, "an empty body asks for a new secret and a day of overlap"
    new = rotated.body["secret"]
    assert new != old
    assert [one["secret"] for one in rotated.body["expiring"]] == [old]
    assert rotated.body == secret(service, webhook)
    got = received(service, receiver)
    assert len(got.headers["webhook-signature"].split()) == 2
    for one in (old, new):
        Webhook(one).verify(got.body, got.headers)
    expire(service)
    assert secret(service, webhook)["expiring"] == []
    got = received(service, receiver)
    assert len(got.headers["webhook-signature"].split()) == 1
    Webhook(new).verify(got.body, got.headers)


def test_the_overlap_is_a_day_unless_said_otherwise(service: Service) -> None:
    webhook = service.webhook()
    rotate(service, webhook)
    rotate(service, webhook, {"overlap_seconds": 604_800})
    hours = service.sql.run(
        "SELECT CAST(extract(epoch FROM expires_at - created_at) / 3600 AS integer)"
        " FROM webhook.webhook_expiring_secrets ORDER BY id"
    )
    assert hours == [[24], [168]]


def test_a_webhook_changes_over_from_one_algorithm_to_the_other(service: Service, receiver: Endpoint) -> None:
    webhook = service.webhook(url=receiver.url)
    old = secret(service, webhook)["secret"]
    rotated = rotate(service, webhook, {"algorithm": "ed25519"}).body
    assert (rotated["algorithm"], rotated["secret"]) == ("ed25519", None)
    assert service.client("GET", f"/v1/webhooks/{webhook['id']}").body["signing_algorithm"] == "ed25519"
    got = received(service, receiver)
    assert [one.partition(",")[0] for one in got.headers["webhook-signature"].split()] == ["v1a", "v1"]
    Webhook(old).verify(got.body, got.headers)
    assert verifies(got, rotated["public_key"])
    kept = rotate(service, webhook).body
    assert kept["algorithm"] == "ed25519", "the present algorithm, unless another is asked for"
    assert [one["algorithm"] for one in kept["expiring"]] == ["ed25519", "hmac"]


def test_a_secret_may_be_brought_when_rotating_but_not_the_present_one(service: Service) -> None:
    webhook = service.webhook(secret=SECRET)
    refused = rotate(service, webhook, {"secret": SECRET})
    assert (refused.status, refused.body["error"]["details"][0]["path"]) == (422, "secret")
    assert rotate(service, webhook, {"secret": PRIVATE}).body["public_key"] == PUBLIC


def test_going_back_to_a_secret_that_still_signs_lets_it_sign_once(service: Service, receiver: Endpoint) -> None:
    webhook = service.webhook(url=receiver.url, secret=SECRET)
    between = rotate(service, webhook).body["secret"]
    back = rotate(service, webhook, {"secret": SECRET}).body
    assert back["secret"] == SECRET
    assert [one["secret"] for one in back["expiring"]] == [between]
    signatures = received(service, receiver).headers["webhook-signature"].split()
    assert len(set(signatures)) == len(signatures) == 2


def test_without_overlap_the_new_secret_signs_alone(service: Service, receiver: Endpoint) -> None:
    webhook = service.webhook(url=receiver.url)
    rotate(service, webhook)
    alone = rotate(service, webhook, {"overlap_seconds": 0}).body
    assert alone["expiring"] == []
    got = received(service, receiver)
    assert len(got.headers["webhook-signature"].split()) == 1
    Webhook(alone["secret"]).verify(got.body, got.headers)
    assert service.sql.run("SELECT count(*) FROM webhook.webhook_expiring_secrets") == [[0]]


def test_a_sixth_live_secret_is_refused_and_the_answer_says_what_to_do(
    service: Service, receiver: Endpoint
) -> None:
    webhook = service.webhook(url=receiver.url)
    for live in range(2, 6):
        assert len(rotate(service, webhook).body["expiring"]) == live - 1
    before = secret(service, webhook)
    refused = rotate(service, webhook)
    assert refused.status == 409
    assert "overlap_seconds 0" in refused.body["error"]["message"]
    assert secret(service, webhook) == before
    got = received(service, receiver)
    assert len(got.headers["webhook-signature"].split()) == 5
    for one in (before, *before["expiring"]):
        Webhook(one["secret"]).verify(got.body, got.headers)
    expire(service)
    assert len(rotate(service, webhook).body["expiring"]) == 1
    assert service.sql.run("SELECT count(*) FROM webhook.webhook_expiring_secrets") == [[1]], (
        "the expired are gone"
    )


def test_a_rotation_is_repeated_under_its_key_without_rotating_and_keeps_no_secret(service: Service) -> None:
    webhook = service.webhook()
    first = rotate(service, webhook, {}, idempotency_key="r-1")
    again = rotate(service, webhook, {}, idempotency_key="r-1")
    assert again.body == first.body
    assert (first.headers["etag"], again.headers["etag"]) == ('"2"', '"2"')
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    kept = json.dumps(service.sql.run("SELECT response_body FROM webhook.idempotency_keys"))
    assert "whsec_" not in kept
    assert first.body["secret"].removeprefix("whsec_") not in kept


def test_a_rotation_is_of_the_version_that_was_read_or_not_at_all(service: Service) -> None:
    webhook = service.webhook()
    before = secret(service, webhook)
    assert rotate(service, webhook, {}, if_match='"9"').status == 412
    assert secret(service, webhook) == before
    assert rotate(service, webhook, {}, if_match='"1"').headers["etag"] == '"2"'


def test_of_two_rotations_at_once_the_second_sees_the_first(service: Service) -> None:
    webhook = service.webhook()
    another = (
        "WITH old AS (INSERT INTO webhook.webhook_expiring_secrets (webhook_id, algorithm, secret, expires_at)"
        " SELECT id, signing_algorithm, signing_secret, now() + interval '1 h' FROM webhook.webhooks"
        " CROSS JOIN generate_series(1, 4) WHERE id = :id)"
        " UPDATE webhook.webhooks SET version = version + 1 WHERE id = :id"
    )
    late = while_waiting(service, another, lambda: rotate(service, webhook), id=webhook["id"])
    assert late.status == 409, "the other one left it with five"


def test_a_rotation_that_waits_for_the_webhooks_end_finds_it_gone(service: Service) -> None:
    webhook = service.webhook()
    end = "UPDATE webhook.webhooks SET deleted_at = now(), signing_secret = '' WHERE id = :id"
    late = while_waiting(service, end, lambda: rotate(service, webhook), id=webhook["id"])
    assert late.status == 404
    assert service.sql.run("SELECT count(*) FROM webhook.webhook_expiring_secrets") == [[0]]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"secret": "whsec_short"}, "secret"),
        ({"secret": None, "algorithm": "rsa"}, "algorithm"),
        ({"overlap_seconds": -1}, "overlap_seconds"),
        ({"overlap_seconds": 604_801}, "overlap_seconds"),
        ({"overlap_seconds": 1.5}, "overlap_seconds"),
        ({"overlap_seconds": None}, "overlap_seconds"),
        ({"overlap": 1}, "overlap"),
    ],
)
def test_a_rotation_that_cannot_be_is_422(service: Service, body: dict, path: str) -> None:
    refused = rotate(service, service.webhook(), body)
    assert (refused.status, [one["path"] for one in refused.body["error"]["details"]]) == (422, [path])


def test_reading_and_rotating_are_in_the_audit_log_without_the_secret(service: Service) -> None:
    webhook = service.webhook()
    old, new = secret(service, webhook)["secret"], rotate(service, webhook, {"overlap_seconds": 60}).body["secret"]
    rows = service.sql.run(
        "SELECT event, level, after FROM webhook.audit_log WHERE event LIKE 'webhook.secret%' ORDER BY id"
    )
    assert rows == [
        ["webhook.secret_read", "warning", None],
        ["webhook.secret_rotated", "warning", {"algorithm": "hmac", "overlap_seconds": 60}],
    ]
    log = str(service.sql.run("SELECT l::text FROM webhook.audit_log l"))
    assert old not in log
    assert new not in log


def test_a_secret_copied_to_another_webhook_is_of_no_use(service: Service) -> None:
    one, other = service.webhook(), service.webhook()
    service.sql.run(
        "UPDATE webhook.webhooks SET signing_secret = (SELECT signing_secret FROM webhook.webhooks WHERE id = :a)"
        " WHERE id = :b",
        a=one["id"],
        b=other["id"],
    )
    assert service.client("GET", f"/v1/webhooks/{other['id']}/secret").status == 500
    assert service.client("GET", f"/v1/webhooks/{one['id']}/secret").status == 200


def test_a_signing_secret_is_not_taken_for_credentials_nor_the_other_way_round(
    service: Service, receiver: Endpoint
) -> None:
    webhook = service.webhook(url=receiver.url, auth={"type": "bearer", "token": "t"})
    service.sql.run("UPDATE webhook.webhooks SET credentials = signing_secret, signing_secret = credentials")
    assert service.client("GET", f"/v1/webhooks/{webhook['id']}/secret").status == 500
    service.event()
    deliver.handler({"Records": service.messages()}, Context())
    assert receiver.received == []
    (delivery,) = service.client("GET", "/v1/deliveries").body["data"]
    assert (delivery["status"], delivery["attempts"]) == ("pending", 0)
