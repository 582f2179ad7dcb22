"""Archive, retention and restore die anywhere, again and again: each row ends up where it belongs, once."""

import json
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from functions.adapters.objects import Bucket
from tests.integration.archive_scene import (
    JUNE,
    MUCH_LATER,
    Past,
    archive_all,
    archived_rows,
    bucket,
    restore_days,
    retain,
)
from tests.integration.conftest import Service
from tests.integration.dying import KilledError, until_it_lives
from tests.integration.killable import run_jobs

__all__ = ["bucket"]
KILLS = 50
HELD: dict[str, Any] = {"status": "pending", "delivered_at": None, "failed_at": None, "sweep_at": "infinity"}
MOST_ROUNDS = 400
RESTORE = {"job": "restore", "from": "2026-06-01", "to": "2026-06-01", "days": 1}
REMOVE = [{"job": "archive"}, {"job": "retention"}]


def removed() -> bool:
    archive_all(MUCH_LATER)
    counts = retain(MUCH_LATER)
    return not any(counts[name] for name in ("busy", "left", "waiting_for_archive", "held"))


@pytest.fixture
def past(service: Service, bucket: str) -> Past:
    past = Past(service)
    past.day(JUNE, events=9)
    return past


def test_dying_at_every_step_loses_and_doubles_nothing(
    past: Past, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = past.everything()
    until_it_lives(removed, monkeypatch)
    assert not any(past.everything().values())
    assert archived_rows(bucket) == past.counted(before)
    until_it_lives(lambda: bool(restore_days(MUCH_LATER, "2026-06-01", "2026-06-01")["done"]), monkeypatch)
    assert past.everything() == before


def test_thinning_out_and_writing_anew_die_at_every_step(
    past: Past, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = past.event(JUNE + timedelta(hours=8), 30, **HELD)
    archive_all(MUCH_LATER)
    past.sql.run("UPDATE webhook.webhook_deliveries SET last_error_code = 'dns', last_error_message = 'late'")
    before = past.everything()

    def thinned() -> bool:
        counts = retain(MUCH_LATER)
        return (counts["kept"], counts["busy"]) == (3, 0)

    until_it_lives(thinned, monkeypatch)
    assert [str(row[0]) for row in past.rows("webhook_deliveries")] == [made]
    assert restore_days(MUCH_LATER, "2026-06-01", "2026-06-01")["damaged"] == []
    assert past.everything() == before


def test_killed_fifty_times_at_random(past: Past, bucket: str) -> None:
    before = past.everything()
    with service_for_others() as environment:
        victim = Victim(environment, random.Random(20261121))
        now = MUCH_LATER
        while victim.kills < KILLS:
            victim.run(REMOVE, now, lambda answers: not answers[0]["left"] and gone(answers[1]))
            assert not any(past.everything().values())
            assert archived_rows(bucket) == past.counted(before)
            victim.run([RESTORE], now, lambda answers: bool(answers[0]["done"]))
            assert past.everything() == before
            now += timedelta(days=2)


def gone(counts: dict[str, int]) -> bool:
    return not any(counts[name] for name in ("busy", "left", "waiting_for_archive", "held", "kept"))


class Victim:
    """Runs jobs in a process that is killed after a while, several times before it may come to its end."""

    def __init__(self, environment: dict[str, str], chance: random.Random) -> None:
        self.kills = 0
        self._environment = environment
        self._chance = chance
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(["tests.integration.killable", "boto3", "pg8000.dbapi"])
        self._seconds = 0.5

    def run(self, jobs: list[dict[str, Any]], now: datetime, is_done: Callable[[Any], bool]) -> None:
        for left in reversed(range(MOST_ROUNDS)):
            receiver, sender = self._processes.Pipe(duplex=False)
            process = self._processes.Process(target=run_jobs, args=(self._environment, jobs, now, sender))
            began = time.monotonic()
            process.start()
            sender.close()
            if left > MOST_ROUNDS - 8 and not receiver.poll(self._chance.uniform(0, self._seconds)):
                process.kill()
                self.kills += 1
            process.join()
            try:
                answers = json.loads(receiver.recv())
            except EOFError:
                continue
            self._seconds = time.monotonic() - began
            if is_done(answers):
                return
        raise AssertionError("it never came to an end")


@contextmanager
def service_for_others() -> Iterator[dict[str, str]]:
    """The environment of another process, in which S3 is the one of this."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield {**os.environ, "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}"}
    finally:
        server.stop()


def test_what_was_begun_and_never_completed_is_no_object(past: Past, bucket: str) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * (9 << 20)
        raise KilledError

    with pytest.raises(KilledError):
        Bucket(bucket).write("archive/x", broken())
    s3 = boto3.client("s3")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
