"""Targets of the conformance tests, and queues that are deleted after each test."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from mypy_boto3_sqs import SQSClient

from tests.integration.sqs.emulator_process import EmulatorProcess, client_of
from tests.integration.sqs.moto_gaps import MOTO_CANNOT
from tests.integration.sqs.targets import TARGETS, MakeQueue, TestQueue, make_queue


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "sqs" in metafunc.fixturenames:
        metafunc.parametrize("sqs", TARGETS, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What moto is known to fail is run and expected to fail, so that the list cannot outlive its reasons."""
    for item in items:
        call = getattr(item, "callspec", None)
        if call is not None and call.params.get("sqs") == "moto" and (reason := _gap(item.name)):
            item.add_marker(pytest.mark.xfail(reason=f"moto {reason}", strict=True))


def _gap(test_id: str) -> str | None:
    """`test_a[moto]` is listed as `test_a`, `test_b[moto-x]` as `test_b[x]` or, for all of them, `test_b`."""
    name = test_id.replace("[moto-", "[").replace("[moto]", "")
    return MOTO_CANNOT.get(name) or MOTO_CANNOT.get(name.partition("[")[0])


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(tmp_path_factory.mktemp("sqs") / "queues.db") as process:
        yield process


@pytest.fixture(scope="session")
def emulator_client(emulator: EmulatorProcess) -> SQSClient:
    return client_of(emulator.endpoint)


@pytest.fixture(scope="session")
def moto_client() -> Iterator[SQSClient]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield client_of(f"http://{host}:{port}")
    server.stop()


@pytest.fixture(scope="session")
def aws_client() -> SQSClient:
    return client_of(None)


@pytest.fixture
def sqs(request: pytest.FixtureRequest) -> SQSClient:
    """The client of the target under test."""
    client: SQSClient = request.getfixturevalue(f"{request.param}_client")
    return client


@pytest.fixture
def new_queue(sqs: SQSClient) -> Iterator[MakeQueue]:
    """Makes queues at the target under test, attributes as keywords."""
    made: list[TestQueue] = []

    def make(**attributes: Any) -> TestQueue:
        made.append(make_queue(sqs, {name: str(value) for name, value in attributes.items()}))
        return made[-1]

    yield make
    for queue in made:
        with suppress(sqs.exceptions.QueueDoesNotExist):  # a test may have deleted it
            sqs.delete_queue(QueueUrl=queue.url)


@pytest.fixture
def queue(new_queue: MakeQueue) -> TestQueue:
    return new_queue(VisibilityTimeout=30)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[EmulatorProcess]:
    """An emulator of this test's own."""
    with EmulatorProcess(tmp_path / "queues.db") as running:
        yield running
