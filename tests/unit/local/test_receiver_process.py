"""The receiver as others use it: a process, its HTTP, its end."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import psutil
import pytest
from standardwebhooks import Webhook

from local.receiver.client import ReceiverClient, ReceiverError, started

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def receiver() -> AsyncIterator[ReceiverClient]:
    async with started() as (url, *_), aiohttp.ClientSession() as session:
        yield ReceiverClient(session, url)


async def post(client: ReceiverClient, name: str, event_id: str, body: str = "{}") -> int:
    at = datetime.now(UTC)
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(event_id, at, body),
    }
    async with client.session.post(client.hook_url(name), data=body.encode(), headers=headers) as response:
        return response.status


def with_receiver(test: Callable[[ReceiverClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with receiver() as client:
            await test(client)

    asyncio.run(run())


def test_it_counts_endpoints_apart_and_hands_out_what_it_received():
    async def scenario(client: ReceiverClient) -> None:
        before = time.monotonic_ns()
        await client.register("first", SECRET)
        await client.register("second", SECRET)
        assert [await post(client, "first", f"e{n}", '{"é": 1}') for n in range(3)] == [200] * 3
        assert await post(client, "second", "e0") == 200
        stats = (await client.stats())["endpoints"]
        assert (stats["first"]["accepted"], stats["second"]["accepted"]) == (3, 1)
        receipts = await client.receipts("first")
        assert list(receipts) == ["e0", "e1", "e2"]
        assert before < receipts["e0"].first_ns < receipts["e2"].first_ns < time.monotonic_ns()
        assert receipts["e0"].accepted_ns == receipts["e0"].first_ns

    with_receiver(scenario)


def test_an_endpoint_fails_when_it_is_told_and_heals_when_it_is_told():
    async def scenario(client: ReceiverClient) -> None:
        await client.register("flaky", SECRET, mode="always-fail")
        assert await post(client, "flaky", "e1") == 503
        await client.change("flaky", mode="ok")
        assert await post(client, "flaky", "e1") == 200
        assert (await client.receipts("flaky"))["e1"][2:] == (1, 1)

    with_receiver(scenario)


def test_a_refusal_answers_the_status_that_was_asked_for():
    async def scenario(client: ReceiverClient) -> None:
        await client.register("broken", SECRET, mode="always-fail", status=500)
        assert await post(client, "broken", "e1") == 500

    with_receiver(scenario)


def test_it_tells_what_all_endpoints_received_in_one_call():
    async def scenario(client: ReceiverClient) -> None:
        await client.register("first", SECRET)
        await client.register("second", SECRET, mode="always-fail")
        for name in ("first", "second"):
            await post(client, name, "e1")
        received = await client.all_receipts()
        assert received["first"] == await client.receipts("first")
        assert received["second"]["e1"].refused == 1
        assert await client.accepted() == 1

    with_receiver(scenario)


def test_its_endpoints_are_reached_by_each_of_its_hosts():
    async def run() -> None:
        async with started("--hosts", "3") as process, aiohttp.ClientSession() as session:
            assert len(set(process.hosts)) == 3
            await ReceiverClient(session, process.url).register("first", SECRET)
            for number, host in enumerate(process.hosts):
                assert await post(ReceiverClient(session, host), "first", f"e{number}") == 200

    asyncio.run(run())


def test_registering_again_begins_with_fresh_counts():
    async def scenario(client: ReceiverClient) -> None:
        await client.register("first", SECRET)
        await post(client, "first", "e1")
        await client.register("first", SECRET)
        assert (await client.stats())["endpoints"]["first"]["requests"] == 0
        assert await client.receipts("first") == {}

    with_receiver(scenario)


def test_a_slow_endpoint_holds_up_no_other():
    async def scenario(client: ReceiverClient) -> None:
        await client.register("slow", SECRET, mode="slow", delay_seconds=30)
        await client.register("first", SECRET)
        slow = asyncio.create_task(post(client, "slow", "e1"))
        while (await client.stats())["endpoints"]["slow"]["requests"] == 0:
            await asyncio.sleep(0.01)
        assert await post(client, "first", "e1") == 200
        assert not slow.done()
        slow.cancel()

    with_receiver(scenario)


def test_a_delivery_to_nobody_is_counted():
    async def scenario(client: ReceiverClient) -> None:
        assert await post(client, "nobody", "e1") == 404
        assert (await client.stats())["unknown"] == 1

    with_receiver(scenario)


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("a", {"secret": SECRET, "mode": "sometimes"}, "sometimes"),
        ("a", {"secret": SECRET, "colour": "red"}, "colour"),
        ("a", {"secret": "whsec_"}, "empty"),
    ],
)
def test_a_wrong_registration_is_refused_with_a_reason(name, fields, said):
    async def scenario(client: ReceiverClient) -> None:
        with pytest.raises(ReceiverError, match=said):
            await client.register(name, **fields)

    with_receiver(scenario)


@pytest.mark.parametrize("body", ["", "no json", "[]", "{}", "7"])
def test_a_registration_that_is_none_is_a_bad_request(body):
    async def scenario(client: ReceiverClient) -> None:
        url = f"{client.url}/control/endpoints/a"
        async with client.session.put(url, data=body) as response:
            assert response.status == 400

    with_receiver(scenario)


def test_a_port_that_is_taken_is_said():
    async def run() -> None:
        async with started() as (url, *_):
            command = [sys.executable, "-m", "local.receiver", "--port", url.rpartition(":")[2]]
            done = await asyncio.to_thread(
                subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
            )
            assert done.returncode == 1
            assert done.stderr.startswith("local.receiver: ")

    asyncio.run(run())


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_it_ends_with_the_process_that_started_it():
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'local.receiver'], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            child = psutil.Process(int(parent.stdout.readline()))
        finally:
            os.kill(parent.pid, signal.SIGKILL)
    child.wait(timeout=30)  # raises TimeoutExpired if it lives on
