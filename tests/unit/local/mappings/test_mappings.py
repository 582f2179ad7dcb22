import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from local.cloudformation.resources import MappingSpec
from local.cloudformation.stores import QueueSpec
from local.mappings.mappings import Mapping
from local.mappings.sqs_client import Sqs
from local.ports import free_port
from tests.unit.local.workers import running, spec

HANDLER = """
import json, pathlib

def handler(event, context):
    bodies = [record["body"] for record in event["Records"]]
    with pathlib.Path("batches.jsonl").open("a") as file:
        file.write(json.dumps(bodies) + "\\n")
    while not pathlib.Path("gate").exists():
        pass
    if "crash" in bodies:
        raise RuntimeError("no")
    failed = [record["messageId"] for record in event["Records"] if record["body"] == "fail"]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
"""


class World:
    """A queue in a real emulator, a function in real processes, and the mapping between them."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.arn = "arn:aws:sqs:eu-central-1:000000000000:q"
        self.queue_url = f"http://127.0.0.1:{port}/000000000000/q"
        self.queue = QueueSpec("q", self.queue_url, self.arn, {"VisibilityTimeout": "2"})
        self.sqs: Any = None
        self.emulator: Any = None
        self.function: Any = None

    async def start_emulator(self) -> None:
        data = str(self.folder / "sqs.sqlite")
        self.emulator = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "local.sqs", "--port", str(self.port), "--data", data),
            stdout=PIPE,
            stderr=DEVNULL,
        )
        await self.emulator.stdout.readline()

    async def kill_emulator(self) -> None:
        self.emulator.kill()
        await self.emulator.wait()

    async def send(self, *bodies: str) -> None:
        entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies)]
        await self.sqs._call("SendMessageBatch", {"QueueUrl": self.queue_url, "Entries": entries})

    async def counts(self) -> tuple[int, int]:
        """(visible, in flight)"""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = await self.sqs._call("GetQueueAttributes", {"QueueUrl": self.queue_url, "AttributeNames": names})
        return tuple(int(answer["Attributes"][name]) for name in names)  # type: ignore[return-value]

    def batches(self) -> list[list[str]]:
        file = self.folder / "batches.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def bodies(self) -> list[str]:
        return [body for batch in self.batches() for body in batch]

    def open_gate(self) -> None:
        (self.folder / "gate").touch()

    @contextlib.asynccontextmanager
    async def mapping(self, **fields: Any) -> AsyncIterator[Mapping]:
        values = {"batch_size": 10, "report_failures": True, "max_concurrency": None, **fields}
        made = MappingSpec(function="shop-work", queue_arn=self.arn, **values)
        subject = Mapping(made, queue=self.queue, function=self.function, sqs=self.sqs)
        subject.start()
        try:
            yield subject
        finally:
            await subject.stop(5)


def run(test: Callable[[World], Awaitable[None]], folder: Path, *, limit: int = 2) -> None:
    (folder / "taker.py").write_text(HANDLER)

    async def whole() -> None:
        world = World(folder, free_port())
        await world.start_emulator()
        try:
            async with (
                aiohttp.ClientSession() as session,
                running(folder, spec("taker.handler"), limit=limit) as function,
            ):
                world.sqs, world.function = Sqs(session, f"http://127.0.0.1:{world.port}"), function
                await world.sqs.ensure_queues([world.queue])
                await test(world)
        finally:
            await world.kill_emulator()

    asyncio.run(asyncio.wait_for(whole(), 60))


async def until(condition: Callable[[], Any]) -> None:
    while True:
        met = condition()
        if await met if asyncio.iscoroutine(met) else met:
            return
        await asyncio.sleep(0.02)


def test_a_batch_that_is_done_is_deleted(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.open_gate()
        await world.send("a", "b", "c")
        async with world.mapping():
            await until(world.batches)

            async def empty() -> bool:
                return await world.counts() == (0, 0)

            await until(empty)
        assert sorted(world.bodies()) == ["a", "b", "c"]

    run(test, tmp_path)


def test_only_what_failed_comes_again(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.open_gate()
        await world.send("fine", "fail")
        async with world.mapping():
            await until(lambda: world.bodies().count("fail") == 2)
        assert world.bodies().count("fine") == 1

    run(test, tmp_path)


def test_a_failed_function_deletes_nothing(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.open_gate()
        await world.send("fine", "crash")
        async with world.mapping():
            await until(lambda: len(world.batches()) >= 1)
            await until(lambda: world.bodies().count("fine") == 2)

    run(test, tmp_path)


def test_nothing_is_received_while_no_process_is_free(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        async with world.mapping(batch_size=1, max_concurrency=2):
            await world.send("a", "b", "c", "d", "e")
            await until(lambda: len(world.batches()) == 2)
            await asyncio.sleep(0.3)
            assert await world.counts() == (3, 2)
            world.open_gate()
            await until(lambda: len(world.batches()) == 5)

    run(test, tmp_path, limit=4)


def test_a_function_s_own_limit_counts_for_all_its_mappings(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        async with world.mapping(batch_size=1):
            await world.send("a", "b", "c")
            await until(lambda: len(world.batches()) == 1)
            await asyncio.sleep(0.3)
            assert await world.counts() == (2, 1)
            world.open_gate()
            await until(lambda: len(world.batches()) == 3)

    run(test, tmp_path, limit=1)


def test_it_survives_its_queue_being_down(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.open_gate()
        async with world.mapping():
            await world.send("before")
            await until(lambda: world.batches() == [["before"]])
            await world.kill_emulator()
            await asyncio.sleep(0.5)
            await world.start_emulator()
            await world.send("after")
            await until(lambda: ["after"] in world.batches())

    run(test, tmp_path)


def test_done_messages_are_deleted_although_the_queue_was_down_when_they_were_done(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        async with world.mapping():
            await world.send("a")
            await until(lambda: world.batches() == [["a"]])
            await world.kill_emulator()
            world.open_gate()
            await asyncio.sleep(0.3)
            await world.start_emulator()

            async def empty() -> bool:
                return await world.counts() == (0, 0)

            await until(empty)
        assert world.batches() == [["a"]]

    run(test, tmp_path)


def test_stopping_waits_for_the_batch_under_way(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        async with world.mapping():
            await world.send("a")
            await until(lambda: world.batches() == [["a"]])
            world.open_gate()
        assert await world.counts() == (0, 0)

    run(test, tmp_path)


def test_an_existing_queue_gets_the_template_s_attributes(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        changed = QueueSpec("q", world.queue_url, world.arn, {"VisibilityTimeout": "77"})
        await world.sqs.ensure_queues([changed])
        names = ["VisibilityTimeout"]
        answer = await world.sqs._call(
            "GetQueueAttributes", {"QueueUrl": world.queue_url, "AttributeNames": names}
        )
        assert answer["Attributes"] == {"VisibilityTimeout": "77"}

    run(test, tmp_path)
