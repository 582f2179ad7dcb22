"""The migration function, as CloudFormation and as an operator call it."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from functions.adapters import database
from functions.domain.partitions import all_series, wanted
from functions.migrate import handler as migrate
from functions.settings import settings
from tests.conftest import ROOT, Databases
from tests.integration.conftest import Context, forget_caches

HEAD = ScriptDirectory.from_config(Config(str(ROOT / "alembic.ini"))).get_current_head()
REQUEST = {
    "RequestType": "Create",
    "StackId": "stack",
    "RequestId": "request",
    "LogicalResourceId": "Migration",
    "ResourceProperties": {},
}


@pytest.fixture
def url(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    made = databases.empty()
    monkeypatch.setenv("WEBHOOK_DATABASE_URL", made)
    forget_caches()
    yield made
    forget_caches()


@pytest.fixture
def answers() -> Iterator[list[dict]]:
    """CloudFormation's end of a custom resource: the first item is the URL, then what was put there."""
    got: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    got.append({"url": f"http://127.0.0.1:{server.server_port}/"})
    yield got
    server.shutdown()
    server.server_close()


def test_an_empty_database_is_brought_to_the_head_with_its_partitions(url: str, databases: Databases) -> None:
    assert migrate.handler({}, Context()) == {"revision": HEAD}
    with databases.connect(url) as sql:
        ((made,),) = sql.run(
            "SELECT count(*) FROM pg_class WHERE relname ~ '_20[0-9]{2}_[0-9]{2}' AND relkind = 'r'"
        )
    assert made == sum(1 for series in all_series() for _ in wanted(series, datetime.now(UTC)))
    assert migrate.handler({}, Context()) == {"revision": HEAD}


def test_cloudformation_hears_of_success(url: str, answers: list[dict]) -> None:
    migrate.handler({**REQUEST, "ResponseURL": answers[0]["url"]}, Context())
    assert answers[1]["Status"] == "SUCCESS"
    assert answers[1]["Data"] == {"revision": HEAD}
    assert {name: answers[1][name] for name in ("StackId", "RequestId", "LogicalResourceId")} == {
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "Migration",
    }


def test_cloudformation_hears_of_failure(url: str, answers: list[dict], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_DATABASE_URL", "postgresql://x:x@127.0.0.1:1/none")
    for cached in (settings, database.engine):
        cached.cache_clear()
    with pytest.raises(Exception, match=r"(?i)connect"):
        migrate.handler({**REQUEST, "ResponseURL": answers[0]["url"]}, Context())
    assert answers[1]["Status"] == "FAILED"
    assert answers[1]["Reason"]


def test_deleting_the_stack_leaves_the_database_alone(url: str, answers: list[dict], databases: Databases) -> None:
    migrate.handler({}, Context())
    migrate.handler({**REQUEST, "RequestType": "Delete", "ResponseURL": answers[0]["url"]}, Context())
    assert answers[1]["Status"] == "SUCCESS"
    with databases.connect(url) as sql:
        assert sql.run("SELECT count(*) FROM webhook.projects") == [[0]]


def test_a_rolled_back_release_leaves_a_newer_schema_as_it_is(url: str, databases: Databases) -> None:
    migrate.handler({}, Context())
    with databases.connect(url) as sql:
        sql.run("UPDATE webhook.alembic_version SET version_num = '9999'")
    assert migrate.handler({}, Context()) == {"revision": "9999"}
