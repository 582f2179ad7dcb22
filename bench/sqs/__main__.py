"""`python -m bench.sqs`: what the local queue emulator costs per operation."""

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import psutil
from rich.console import Console
from rich.table import Table

# A full delivery message: a hundred ids with their tokens.
BODY = json.dumps({"v": 1, "deliveries": [["0199f2f1-7b52-7a5c-9d3e-0a1b2c3d4e5f", 1]] * 100})
QUEUE_URL = "http://127.0.0.1/000000000000/bench"
HEADERS = {"Content-Type": "application/x-amz-json-1.0"}

Call = Callable[[str, dict[str, Any]], dict[str, Any]]


@contextmanager
def emulator(folder: Path) -> Iterator[tuple[psutil.Process, int]]:
    """The emulator's process and port."""
    command = [sys.executable, "-m", "local.sqs", "--data", str(folder / "queues.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            ready = cast(IO[str], process.stdout).readline()
            yield psutil.Process(process.pid), json.loads(ready)["port"]
        finally:
            process.terminate()


def caller(port: int) -> Call:
    """A client on a connection of its own; http.client, because boto3 costs ten times what is measured."""
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def call(action: str, fields: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps({"QueueUrl": QUEUE_URL, **fields})
        connection.request("POST", "/", body, {**HEADERS, "X-Amz-Target": f"AmazonSQS.{action}"})
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        if "__type" in answer:
            raise RuntimeError(answer)
        return answer

    return call


def send(call: Call, batch: int) -> None:
    if batch == 1:
        call("SendMessage", {"MessageBody": BODY, "MessageGroupId": "project"})
        return
    entries = [{"Id": str(n), "MessageBody": BODY, "MessageGroupId": f"project-{n}"} for n in range(batch)]
    call("SendMessageBatch", {"Entries": entries})


def receive(call: Call, batch: int) -> list[str]:
    answer = call("ReceiveMessage", {"MaxNumberOfMessages": batch, "AttributeNames": ["All"]})
    return [message["ReceiptHandle"] for message in answer["Messages"]]


def delete(call: Call, handles: list[str]) -> None:
    if len(handles) == 1:
        call("DeleteMessage", {"ReceiptHandle": handles[0]})
        return
    entries = [{"Id": str(n), "ReceiptHandle": handle} for n, handle in enumerate(handles)]
    call("DeleteMessageBatch", {"Entries": entries})


def cpu_us(process: psutil.Process, clients: int, work: Callable[[int], int]) -> tuple[float, float]:
    """CPU µs of the emulator per request, and requests per second, of `clients` doing `work` side by side."""
    before, start = process.cpu_times(), time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        requests = sum(pool.map(work, range(clients)))
    after, seconds = process.cpu_times(), time.perf_counter() - start
    cpu = after.user + after.system - before.user - before.system
    return cpu / requests * 1e6, requests / seconds


def measure(process: psutil.Process, port: int, requests: int, batch: int, clients: int) -> list[str]:
    """A row of figures: send, receive, delete."""
    calls = [caller(port) for _ in range(clients)]
    handles: list[list[list[str]]] = [[] for _ in range(clients)]
    share = requests // clients

    def sends(client: int) -> int:
        for _ in range(share):
            send(calls[client], batch)
        return share

    def receives(client: int) -> int:
        for _ in range(share):
            handles[client].append(receive(calls[client], batch))
        return share

    def deletes(client: int) -> int:
        for taken in handles[client]:
            delete(calls[client], taken)
        return share

    figures = [cpu_us(process, clients, work) for work in (sends, receives, deletes)]
    return [f"{cpu:.0f} ({rate:.0f}/s)" for cpu, rate in figures]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sqs", description=__doc__)
    parser.add_argument("--requests", type=int, default=2000, help="per figure (%(default)s)")
    parser.add_argument("--backlog", type=int, default=50_000, help="messages waiting (%(default)s)")
    arguments = parser.parse_args()
    table = Table("backlog", "batch", "clients", "send", "receive", "delete", title="CPU µs per request")
    with tempfile.TemporaryDirectory() as folder, emulator(Path(folder)) as (process, port):
        call = caller(port)
        call("CreateQueue", {"QueueName": "bench"})
        for backlog in (0, arguments.backlog):
            for _ in range(backlog // 10):
                send(call, 10)
            for batch, clients in ((1, 1), (1, 8), (10, 1), (10, 8)):
                figures = measure(process, port, arguments.requests, batch, clients)
                table.add_row(str(backlog), str(batch), str(clients), *figures)
        memory = process.memory_info().rss / 1e6
    Console().print(table)
    Console().print(f"memory with {arguments.backlog} messages of {len(BODY)} bytes waiting: {memory:.0f} MB")


if __name__ == "__main__":
    main()
