"""The local runtime itself: it starts, survives the loss of any of its processes, and leaves nothing behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import psutil
import pytest
import requests
from botocore.exceptions import EndpointConnectionError

from tests.e2e.service import ROOT, Service, alive, processes
from tests.integration.endpoint import Endpoint, endpoint


@pytest.fixture
def own(tmp_path: Path, template: Path) -> Iterator[Service]:
    """A service of the test's own, in a folder of its own; not started yet."""
    made = Service(tmp_path / "state", template)
    try:
        yield made
    finally:
        made.stop()


def works(service: Service) -> bool:
    """Whether an event is accepted and found again: API, authorizer, database and queues are there."""
    try:
        sent = service.request("POST", "/v1/events", json={"type": "runtime.checked", "data": {"at": time.time()}})
        if sent.status_code != 202:
            return False
        return service.request("GET", f"/v1/events/{sent.json()['id']}").status_code == 200
    except (requests.RequestException, FileNotFoundError):
        return False


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code > 0
    except requests.RequestException:
        return False


def test_stack_json_says_where_everything_is(service: Service) -> None:
    stack = service.stack()
    assert (service.state_dir / "stack.json").stat().st_mode & 0o777 == 0o600
    assert requests.get(f"{stack['api_url']}/health", timeout=10).json() == {"status": "healthy"}
    assert set(stack["processes"]) == {
        *("supervisor", "postgres", "sqs", "aws"),
        *("authorizer", "api", "receive", "deliver", "rescrape", "dispatch"),
        *("jobs", "maintain", "metrics", "migrate"),
    }
    assert processes(stack, "supervisor") == [service.process.pid if service.process else 0]
    for url in stack["queues"].values():
        assert url.startswith(f"{stack['sqs_url']}/000000000000/hookline-dev-")
    assert service.request("GET", "/v1/webhooks").status_code == 200
    assert "hookline_admin" in stack["database_url"]
    assert Path(stack["log_file"]).read_text().count("\n") > 0


def test_what_was_asked_is_found_among_the_metrics(service: Service) -> None:
    assert works(service)

    def found(kind: str, **narrowed: str) -> list[dict[str, Any]]:
        answer = service.request("GET", f"/v1/metrics/{kind}", params=narrowed)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"])

    accepted = {"path": "/v1/events", "method": "POST", "status": "202"}
    service.wait_until(lambda: found("requests", **accepted))
    request = found("requests", **accepted)[-1]
    service.wait_until(lambda: found("operations", request_id=request["request_id"]))
    (operation,) = found("operations", request_id=request["request_id"])
    assert (operation["operation_name"], operation["success"]) == ("ingest.events", True)
    assert 0 < operation["duration_ms"] < request["duration_ms"]


def test_everything_listens_on_loopback_only(service: Service) -> None:
    listening = {
        connection.laddr.ip
        for pid in alive(service.pids())
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_the_functions_get_nothing_of_the_shell_and_the_scram_passwords_work(service: Service) -> None:
    [api, *_] = processes(service.stack(), "api")
    environment = psutil.Process(api).environ()
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "hookline-dev-api"
    assert "://hookline_app:" in environment["WEBHOOK_DATABASE_URL"]
    assert "HOOKLINE_PORT" not in environment
    assert "PYTEST_CURRENT_TEST" not in environment


def test_boto3_invokes_a_function(service: Service) -> None:
    client = boto3.client(
        "lambda",
        endpoint_url=service["lambda_url"],
        region_name="eu-central-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    answer = client.invoke(FunctionName="hookline-dev-dispatch", Payload=b"{}")
    assert (answer["StatusCode"], answer.get("FunctionError")) == (200, None)
    assert isinstance(json.loads(answer["Payload"].read()), dict)


def test_a_function_is_invoked_by_hand_from_the_shell(service: Service) -> None:
    def invoke(function: str) -> subprocess.CompletedProcess[str]:
        where = ("--stack-file", str(service.state_dir / "stack.json"))
        command = [sys.executable, "-m", "local.invoke", *where, function]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    run, unknown = invoke("dispatch"), invoke("nothing")
    assert run.returncode == 0, run.stderr
    assert isinstance(json.loads(run.stdout), dict)
    assert unknown.returncode == 1
    assert "hookline-dev-dispatch" in unknown.stderr


def test_a_second_instance_on_the_same_folder_is_refused(service: Service, template: Path) -> None:
    second = Service(service.state_dir, template)
    run = subprocess.run(second._command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 1
    assert f"runs already: {service.state_dir} is in use by process" in run.stderr
    assert works(service)


@pytest.fixture(scope="module")
def receiver(service: Service) -> Iterator[Endpoint]:
    """An endpoint that gets every event of the runtime's project.

    The service runs on for other tests, so the webhook goes with its endpoint: what is sent to one that is no
    longer there is tried for a day.
    """
    with endpoint() as here:
        made = service.request("POST", "/v1/webhooks", json={"name": "receiver", "url": here.url})
        assert made.status_code == 201, made.text
        yield here
        service.request("DELETE", f"/v1/webhooks/{made.json()['id']}").raise_for_status()


@pytest.mark.parametrize("name", ["postgres", "sqs", "aws", "api", "authorizer", "deliver"])
def test_an_event_is_delivered_after_the_loss_of_a_process(
    service: Service, receiver: Endpoint, name: str
) -> None:
    before = processes(service.stack(), name)
    assert before
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    service.wait_until(lambda: works(service) and answers(service["sqs_url"]))
    sent = {"type": "runtime.delivered", "data": {"without": name}}
    event = service.request("POST", "/v1/events", json=sent).json()
    service.wait_until(lambda: event["id"] in [got.headers["webhook-id"] for got in receiver.received])
    if name in ("postgres", "sqs", "aws"):
        service.wait_until(lambda: set(processes(service.stack(), name)) - set(before))
    assert not alive(set(before))


def test_what_is_on_a_queue_survives_the_loss_of_the_emulator(service: Service) -> None:
    client = boto3.client(
        "sqs",
        endpoint_url=service["sqs_url"],
        region_name="eu-central-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    # A queue of its own: in a DLQ of the stack, a message that came from no queue would stop every redrive.
    url, body = client.create_queue(QueueName=str(uuid4()))["QueueUrl"], str(uuid4())
    client.send_message(QueueUrl=url, MessageBody=body)
    os.kill(processes(service.stack(), "sqs")[0], signal.SIGKILL)

    def received() -> list[Any]:
        try:
            return client.receive_message(QueueUrl=url).get("Messages", [])
        except EndpointConnectionError:  # it is being started again
            return []

    service.wait_until(lambda: body in [message["Body"] for message in received()])


def test_a_stop_leaves_no_process_and_the_next_start_goes_on(own: Service) -> None:
    own.start()
    first = own.stack()
    webhook = own.request("POST", "/v1/webhooks", json={"name": "kept", "url": "http://127.0.0.1:9/"}).json()
    secret = own.request("GET", f"/v1/webhooks/{webhook['id']}/secret").json()
    pids = own.pids()
    assert len(pids) > 6
    assert own.stop(signal.SIGINT) == 0
    assert alive(pids) == set()
    assert not (own.state_dir / "stack.json").exists()

    own.start()
    kept = ("admin_key", "project_id", "api_key", "database_url", "sqs_url", "aws_url", "lambda_url")
    assert {name: own[name] for name in kept} == {name: first[name] for name in kept}
    assert own.request("GET", f"/v1/webhooks/{webhook['id']}/secret").json() == secret  # decrypted by the kept key


def test_a_killed_supervisor_takes_everything_along_and_the_next_start_goes_on(own: Service) -> None:
    own.start()
    event = own.request("POST", "/v1/events", json={"type": "runtime.kept", "data": {}}).json()
    pids = own.pids()
    own.kill()
    deadline = time.monotonic() + 30
    while alive(pids):
        assert time.monotonic() < deadline, (
            f"left behind: {[psutil.Process(pid).cmdline() for pid in alive(pids)]}"
        )
        time.sleep(0.05)

    own.start()
    assert own.request("GET", f"/v1/events/{event['id']}").status_code == 200
    assert works(own)


def test_a_stop_while_it_starts_leaves_no_process(own: Service) -> None:
    for seconds in (0.3, 1.0, 2.0):
        own.spawn()
        assert own.process is not None
        time.sleep(seconds)
        pids = own.pids() if own.process.poll() is None else set()
        # Before it minds signals it has started nothing, and the signal itself ends it.
        assert own.stop() in (0, -signal.SIGTERM), own.output
        assert alive(pids) == set()


def test_a_missing_template_is_a_clear_error(tmp_path: Path) -> None:
    missing = Service(tmp_path / "state", tmp_path / "nowhere.template.json")
    missing.spawn()
    assert missing.process is not None
    assert missing.process.wait(30) == 1
    assert "synthesize the stack first" in missing.output
    assert "Traceback" not in missing.output


def test_a_failed_migration_stops_the_start_with_its_reason(own: Service) -> None:
    """The migrate function cannot log in on a server that is not there."""
    own.spawn(WEBHOOK_DATABASE_URL="postgresql://nobody:x@127.0.0.1:9/nowhere")
    assert own.process is not None
    assert own.process.wait(60) == 1
    assert "Custom::Migration" in own.output
    assert own.stop() == 1


def test_another_server_serves_when_the_environment_names_it(own: Service, service: Service) -> None:
    """WEBHOOK_DATABASE_URL (B2): here a second database on the first service's server."""
    import pg8000.native

    base, _, _ = service["database_url"].rpartition("/")
    user, password, port = _parts(base)
    connection = pg8000.native.Connection(user, "127.0.0.1", "postgres", port, password)
    connection.run("CREATE DATABASE elsewhere")
    try:
        own.start(WEBHOOK_DATABASE_URL=f"{base}/elsewhere")
        assert own["database_url"] == f"{base}/elsewhere"
        assert processes(own.stack(), "postgres") == []
        assert works(own)
        own.stop()
    finally:
        connection.run("DROP DATABASE elsewhere WITH (FORCE)")
        connection.close()


def _parts(url: str) -> tuple[str, str, int]:
    user, password = url.removeprefix("postgresql://").partition("@")[0].split(":")
    return user, password, int(url.rpartition(":")[2])


def test_a_checkout_in_a_folder_with_a_space_runs_as_an_ordinary_user(tmp_path: Path, template: Path) -> None:
    checkout = tmp_path / "my own checkout"
    for folder in ("local", "functions", "migrations"):
        shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "alembic.ini", checkout)
    # Inside a user namespace this is an ordinary user who still reaches the interpreter, wherever it is.
    ordinary = ("unshare", "--user", "--map-user=1000", "--") if os.geteuid() == 0 else ()
    made = Service(checkout / ".local", template, root=checkout, prefix=ordinary)
    try:
        made.start()
        assert works(made)
        assert psutil.Process(processes(made.stack(), "api")[0]).cwd() == str(checkout)
    finally:
        made.stop()
