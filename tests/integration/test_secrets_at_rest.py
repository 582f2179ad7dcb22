"""A dump of the database holds no secret in clear, whatever way it came in; nor does a line of the log."""

import base64
import subprocess
from collections.abc import Iterator

import pytest

from functions.adapters import database
from functions.deliver import handler as deliver
from local import cluster
from tests.integration.conftest import Client, Context, Service
from tests.integration.endpoint import Endpoint

BEARER, PASSWORD, API_HEADER = "bearer-f3kQz81LmNv0", "basic-Pw7Xc2TtR9ba", "header-Kd92hhQWz6e1"
LATER_BEARER, LATER_HEADER, AUTHORIZATION = "bearer-later-0aZ4uY7t", "header-later-V5r8Jq", "header-auth-Gg5Ss1Mm"
SYMMETRIC, ROTATED_IN, SEED = bytes(range(7, 39)), bytes(range(60, 92)), bytes(range(101, 133))


def shown(prefix: str, secret: bytes) -> str:
    return prefix + base64.b64encode(secret).decode()


def post(client: Client, path: str, body: dict) -> dict:
    """With an Idempotency-Key, and again with it: what is kept for a repetition is looked at too."""
    for _ in range(2):
        answer = client("POST", path, body, headers={"idempotency-key": f"key-{path.replace('/', '-')}"})
        assert 200 <= answer.status < 300, answer.body
        if "idempotency-replayed" not in answer.headers:
            first = dict(answer.body)
    return first


def everything_secret(service: Service, url: str) -> dict[str, bytes]:
    """Each way in which a secret comes into being, by its name; as the bytes that nobody may find."""
    secrets = {
        **{f"text {n}": s.encode() for n, s in enumerate((BEARER, PASSWORD, API_HEADER, LATER_BEARER))},
        **{"later header": LATER_HEADER.encode(), "authorization header": AUTHORIZATION.encode()},
        **{"symmetric": SYMMETRIC, "rotated in": ROTATED_IN, "seed": SEED},
    }
    key = post(service.admin, f"/v1/projects/{service.project_id}/api-keys", {"name": "k", "scopes": ["*"]})["key"]
    secrets["api key"] = key.rpartition("_")[2].encode()
    secrets["first api key"] = service.client.key.rpartition("_")[2].encode()
    client = Client(key)
    bearer = post(
        client,
        "/v1/webhooks",
        {
            **{"name": "bearer", "url": url, "secret": shown("whsec_", SYMMETRIC)},
            **{
                "auth": {"type": "bearer", "token": BEARER},
                "headers": {"x-api-key": API_HEADER, "x-plain": "seen"},
            },
        },
    )
    secrets |= rotated(client, bearer["id"])
    for body in (
        {"auth": {"type": "basic", "username": "somebody", "password": PASSWORD}},
        {"auth": None, "headers": {"Authorization": f"Bearer {AUTHORIZATION}", "x-secret": LATER_HEADER}},
        {"auth": {"type": "bearer", "token": LATER_BEARER}, "headers": {"x-secret": "********"}},
    ):
        changed = client("PATCH", f"/v1/webhooks/{bearer['id']}", body)
        assert changed.status == 200, changed.body
        client("POST", "/v1/events", {"type": "a", "data": 1})
        assert deliver.handler({"Records": service.messages()}, Context()) == {"batchItemFailures": []}
    signed = client("POST", "/v1/webhooks", {"name": "n", "url": url, "secret": shown("whsk_", SEED)})
    assert signed.status == 201, signed.body
    return secrets


def rotated(client: Client, id: str) -> dict[str, bytes]:
    """A secret that is brought along, then one that Hookline makes; what was there goes on signing beside them."""
    post(client, f"/v1/webhooks/{id}/rotate-secret", {"secret": shown("whsec_", ROTATED_IN)})
    made = client("POST", f"/v1/webhooks/{id}/rotate-secret", {}).body
    assert len(made["expiring"]) == 2
    read = client("GET", f"/v1/webhooks/{id}/secret").body
    assert read == made
    return {"made": base64.b64decode(read["secret"].removeprefix("whsec_"))}


def forms(secret: bytes) -> Iterator[bytes]:
    """As it is, and as bytea, base64 or a Basic header would show it (in whatever place of three it begins)."""
    yield secret
    yield secret.hex().encode()
    for before in (b"", b"1", b"12"):
        encoded = base64.b64encode(before + secret)[4 if before else 0 :]
        yield encoded[: len(encoded) - 4]


def dumped(url: str) -> bytes:
    done = subprocess.run(
        [str(cluster.binary("pg_dump")), "--schema=webhook", url],
        env=cluster.environment(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def assert_none_in(place: bytes, secrets: dict[str, bytes], where: str) -> None:
    for name, secret in secrets.items():
        for form in forms(secret):
            assert form not in place, (where, name)


def test_no_secret_is_in_a_dump_or_a_log_line(
    service: Service, receiver: Endpoint, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets = everything_secret(service, receiver.url)
    sent = [one.headers for one in receiver.received]
    assert [headers.get("authorization", "").partition(" ")[0] for headers in sent] == [
        "Basic",
        "Bearer",
        "Bearer",
    ]
    assert sent[0]["authorization"] == "Basic " + base64.b64encode(f"somebody:{PASSWORD}".encode()).decode()
    assert (sent[1]["authorization"], sent[1]["x-secret"]) == (f"Bearer {AUTHORIZATION}", LATER_HEADER)
    assert (sent[2]["authorization"], sent[2]["x-secret"]) == (f"Bearer {LATER_BEARER}", LATER_HEADER)
    for table in ("audit_log", "idempotency_keys"):
        rows = service.sql.run(f"SELECT t::text FROM webhook.{table} t")
        assert len(rows) >= 3
        assert_none_in("\n".join(row for (row,) in rows).encode(), secrets, table)
    dump = dumped(str(database.database_url().set(drivername="postgresql").render_as_string(hide_password=False)))
    assert b"x-plain" in dump
    assert service.project_id.encode() in dump
    assert_none_in(dump, secrets, "dump")
    written = capfd.readouterr()
    assert_none_in((written.out + written.err).encode(), secrets, "log")


def test_the_search_finds_a_secret_in_each_form_that_it_could_have() -> None:
    secret = b"basic-Pw7Xc2TtR9ba"
    pair = base64.b64encode(b"somebody:" + secret)
    for place in (b"a " + secret, b"\\x00" + secret.hex().encode(), base64.b64encode(secret), pair, b"B " + pair):
        with pytest.raises(AssertionError):
            assert_none_in(place, {"it": secret}, "there")
    assert_none_in(b"nothing of it", {"it": secret}, "there")
