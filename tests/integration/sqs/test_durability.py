import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.integration.sqs.emulator_process import ROOT, EmulatorProcess, client_of
from tests.integration.sqs.targets import TestQueue, eventually, make_queue, redrive_policy


def is_sent(queue: TestQueue, body: str) -> bool:
    try:
        queue.send(body)
    except (BotoCoreError, ClientError):
        return False
    return True


def reopened(process: EmulatorProcess, queue: TestQueue, how: signal.Signals = signal.SIGKILL) -> TestQueue:
    """The queue after its emulator has been stopped and started again, on another port."""
    process.stop(how)
    process.start()
    client = client_of(process.endpoint)
    url = client.get_queue_url(QueueName=queue.name)["QueueUrl"]
    return TestQueue(client, url, queue.arn)


def queue_at(process: EmulatorProcess, **attributes: str) -> TestQueue:
    return make_queue(client_of(process.endpoint), {"VisibilityTimeout": "30", **attributes})


def drain(queue: TestQueue) -> list[str]:
    bodies: list[str] = []
    while messages := queue.receive(wait=0, MaxNumberOfMessages=10):
        bodies += [message["Body"] for message in messages]
    return bodies


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_queues_and_messages_outlive_the_process(process: EmulatorProcess, how: signal.Signals) -> None:
    queue = queue_at(process, DelaySeconds="5")
    attributes = {"kind": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}}
    sent = queue.send("kept", MessageAttributes=attributes, MessageGroupId="tenant")
    queue = reopened(process, queue, how)
    assert queue.attributes("DelaySeconds", "VisibilityTimeout") == {
        "DelaySeconds": "5",
        "VisibilityTimeout": "30",
    }
    assert queue.counts() == (0, 0, 1)
    message = queue.receive_one(wait=10)
    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "kept")
    assert message["MessageAttributes"] == attributes
    assert message["Attributes"]["MessageGroupId"] == "tenant"


def test_every_acknowledged_message_outlives_a_kill_in_mid_traffic(process: EmulatorProcess) -> None:
    queue = queue_at(process)
    acknowledged: list[str] = []
    enough = threading.Event()

    def send_until_it_dies(sender: int) -> None:
        client = client_of(process.endpoint)
        for number in range(10_000):
            body = f"{sender}-{number}"
            if not is_sent(TestQueue(client, queue.url, queue.arn), body):
                return
            acknowledged.append(body)
            if len(acknowledged) > 200:
                enough.set()

    senders = [threading.Thread(target=send_until_it_dies, args=(n,)) for n in range(3)]
    for sender in senders:
        sender.start()
    assert enough.wait(30)
    process.stop(signal.SIGKILL)
    for sender in senders:
        sender.join()
    process.start()
    found = drain(TestQueue(client_of(process.endpoint), queue.url, queue.arn))
    assert set(acknowledged) <= set(found)
    assert len(found) == len(set(found)) <= len(acknowledged) + len(senders)


def test_what_was_received_stays_in_flight_and_its_handle_stays_good(process: EmulatorProcess) -> None:
    queue = queue_at(process)
    for body in ("deleted", "held"):
        queue.send(body)
    messages = {message["Body"]: message for message in (queue.receive_one(), queue.receive_one())}
    queue.delete(messages["deleted"])
    queue = reopened(process, queue)
    assert queue.counts() == (0, 1, 0)
    queue.show(messages["held"])
    again = queue.receive_one()
    assert (again["Body"], again["Attributes"]["ApproximateReceiveCount"]) == ("held", "2")
    queue.delete(again)
    assert reopened(process, queue).counts() == (0, 0, 0)


def test_a_dead_letter_remembers_its_source_and_a_move_goes_on_where_it_was(process: EmulatorProcess) -> None:
    dead_letters = queue_at(process)
    source = queue_at(process, RedrivePolicy=redrive_policy(dead_letters, 1))
    bodies = [str(number) for number in range(10)]
    for body in bodies:
        source.send(body)
    while source.receive(wait=0, MaxNumberOfMessages=10, VisibilityTimeout=0):
        pass
    dead_letters = reopened(process, dead_letters)
    assert dead_letters.counts() == (10, 0, 0)
    sqs = dead_letters.client
    sqs.start_message_move_task(SourceArn=dead_letters.arn, MaxNumberOfMessagesPerSecond=8)
    dead_letters = reopened(process, dead_letters)
    sqs = dead_letters.client
    task = eventually(
        lambda: sqs.list_message_move_tasks(SourceArn=dead_letters.arn)["Results"][0],
        lambda task: task["Status"] == "COMPLETED",
    )
    assert task["ApproximateNumberOfMessagesMoved"] == 10
    assert sorted(drain(TestQueue(sqs, f"{process.endpoint}/000000000000/{source.name}", source.arn))) == bodies


def test_a_deleted_queue_does_not_come_back(process: EmulatorProcess) -> None:
    queue = queue_at(process)
    queue.send()
    queue.client.delete_queue(QueueUrl=queue.url)
    process.stop(signal.SIGKILL)
    process.start()
    assert "QueueUrls" not in client_of(process.endpoint).list_queues()


def test_a_data_file_serves_one_process(process: EmulatorProcess) -> None:
    command = [sys.executable, "-m", "local.sqs", "--data", str(process.data)]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert second.returncode == 1
    assert "locked" in second.stderr


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be looked at " * 10)
    command = [sys.executable, "-m", "local.sqs", "--data", str(path)]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert refused.returncode == 1
    assert "not a database" in refused.stderr
    assert path.read_text().startswith("not a database")


def test_it_stops_rather_than_promise_what_it_cannot_write(process: EmulatorProcess) -> None:
    queue = queue_at(process)
    resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (512 * 1024, 512 * 1024))  # the disk is full
    acknowledged = 0
    while is_sent(queue, "x" * 64 * 1024):
        acknowledged += 1
    assert 0 < acknowledged < 10
    assert process.process.wait(timeout=10) == 1
    process.start()
    assert len(drain(TestQueue(client_of(process.endpoint), queue.url, queue.arn))) == acknowledged
