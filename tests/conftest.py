"""Fixtures that any test may use: a real Postgres, a migrated database, the AWS that functions call."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pg8000.native
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.kms.models import Key, KmsBackend, kms_backends
from moto.s3.models import s3_backends
from sqlalchemy import Engine, event, make_url
from xdist.remote import Producer

from local.postgres import Server
from tests.scheduling import ByService
from tests.statements import refuse_unnamed

ROOT = Path(__file__).parents[1]
REGION = "eu-central-1"
event.listen(Engine, "before_cursor_execute", refuse_unnamed)


def run_alembic(url: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Alembic as an operator runs it, on the database of `url`."""
    return subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=ROOT,
        env={**os.environ, "WEBHOOK_DATABASE_URL": url, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByService:
    return ByService(config, log)


# What any change of the schema leaves a trace in: rows made, dropped or written anew.
SCHEMA = " UNION ALL ".join(
    f"SELECT count(*), sum(xmin::text::bigint) FROM pg_{name}"
    for name in (
        "class",
        "attribute",
        "inherits",
        "constraint",
        "index",
        "trigger",
        "proc",
        "namespace",
        "attrdef",
    )
)
TABLES = """
    SELECT oid::regclass::text FROM pg_class
    WHERE relnamespace = 'webhook'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
      AND relname <> 'alembic_version'"""
OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


class Databases:
    """Databases on one server: empty, copied from a migrated template, or lent from test to test.

    Making one takes longer than most tests do, and its 600 files have to be written and removed again.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._template: str | None = None
        self._emptying, self._schema = "", []
        self._spare: list[str] = []

    def empty(self) -> str:
        """The URL of a new, empty database."""
        return self._create("template0")

    def migrated(self) -> str:
        """The URL of a new database at the head revision with its partitions made."""
        if self._template is None:
            url = self.empty()
            done = run_alembic(url, "upgrade", "head")
            assert done.returncode == 0, done.stderr
            self._template = url.rpartition("/")[2]
            with self.connect(url) as connection:
                self._schema = connection.run(SCHEMA)
                emptying = [
                    f"IF EXISTS (SELECT FROM {name}) THEN DELETE FROM {name}; END IF;"
                    for (name,) in connection.run(TABLES)
                ]
                self._emptying = f"DO $$ BEGIN {' '.join(emptying)} END $$"
        return self._create(self._template)

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The URL of a database as `migrated` makes it, but for dead rows and statistics of tests before this."""
        url = self._spare.pop() if self._spare else self.migrated()
        yield url
        with self.connect(url) as connection:
            if connection.run(OTHERS) == [[0]] and connection.run(SCHEMA) == self._schema:
                connection.run("SET session_replication_role = replica")  # in any order
                connection.run(self._emptying)
                self._spare.append(url)

    def copy(self, url: str) -> str:
        """The URL of a new database with all that is in this one, which nobody is connected to."""
        return self._create(url.rpartition("/")[2], "STRATEGY FILE_COPY")

    def connect(self, url: str) -> pg8000.native.Connection:
        name = make_url(url).database
        server = self.server
        return pg8000.native.Connection(
            server.admin,
            host="127.0.0.1",
            port=server.port,
            password=server.password(server.admin),
            database=name,
            ssl_context=False,  # reading the system's certificates takes longer than making the database
        )

    def _create(self, template: str, how: str = "") -> str:
        name = f"test_{uuid4().hex}"
        with self.connect(self.server.url()) as connection:
            connection.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {how}')
        return self.server.url(database=name)


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """One server a test process, without fsync: its durability is tested end to end."""
    with Server(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        yield Databases(server)


@pytest.fixture
def database_url(databases: Databases, request: pytest.FixtureRequest) -> Iterator[str]:
    """The service's database, lent by the test before."""
    if request.node.get_closest_marker("new_database"):
        yield databases.migrated()
    else:
        with databases.lent() as url:
            yield url


@pytest.fixture(scope="session")
def sqs_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The queue emulator of the local service, a process of its own."""
    data = tmp_path_factory.mktemp("sqs") / "queues.db"
    command = [sys.executable, "-m", "local.sqs", "--port", "0", "--data", str(data)]
    identity = ["--account", "000000000000", "--region", REGION]
    with subprocess.Popen([*command, *identity], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
        process.terminate()


@pytest.fixture(scope="session")
def sqs_client(sqs_endpoint: str) -> Any:
    """boto3 on the emulator; one for all tests, since making it takes longer than most of them do."""
    return boto3.client(
        "sqs",
        endpoint_url=sqs_endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture(scope="session")
def mocked() -> Callable[[str], Any]:
    """boto3's client of a service that moto answers for wherever `aws` is; made once, as above."""
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
    return cache(session.client)


@pytest.fixture(scope="session")
def kms_key() -> Key:
    """What moto has for a key of KMS: it makes one of RSA, too, and that takes longer than most tests do."""
    return KmsBackend(REGION, DEFAULT_ACCOUNT_ID).create_key(
        None, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "", None
    )


@pytest.fixture
def aws(
    monkeypatch: pytest.MonkeyPatch, sqs_client: Any, mocked: Callable[[str], Any], kms_key: Key
) -> Iterator[dict[str, str]]:
    """KMS, SQS, S3 and Secrets Manager as the functions' environment names them."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
    }.items():
        monkeypatch.setenv(name, value)
    queues = {
        name: sqs_client.create_queue(QueueName=f"{name}-{uuid4().hex}")["QueueUrl"]
        for name in ("delivery", "retry", "jobs", "rescrape")
    }
    with mock_aws():
        kms_backends[DEFAULT_ACCOUNT_ID][REGION].keys[kms_key.id] = kms_key
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket("documents", REGION)
        made = {
            "KMS_KEY_ID": kms_key.arn,
            "DELIVERY_QUEUE_URL": queues["delivery"],
            "RETRY_QUEUE_URL": queues["retry"],
            "JOBS_QUEUE_URL": queues["jobs"],
            "RESCRAPE_QUEUE_URL": queues["rescrape"],
            "DOCUMENTS_BUCKET": "documents",
            "ADMIN_KEY_SECRET_ARN": mocked("secretsmanager").create_secret(
                Name="admin-key", SecretString="the-admin-key"
            )["ARN"],
        }
        for name, value in made.items():
            monkeypatch.setenv(name, value)
        yield made
