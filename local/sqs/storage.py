"""The broker's changes in a SQLite file, and the way back after a start."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from local.sqs.broker import StoredQueue
from local.sqs.journal import Journal
from local.sqs.message import Content, Message
from local.sqs.move_tasks import MoveTask

_VERSION = 2
# A message's content never changes, its progress does with every receive. Two tables, because an update
# rewrites its row: 9 µs instead of 24 for a receive of a 4.5 KB message. A message that has not been
# received has no progress row at all.
_SCHEMA = """
CREATE TABLE start (number INTEGER NOT NULL);
INSERT INTO start VALUES (0);
CREATE TABLE queue (
    name TEXT PRIMARY KEY, attributes TEXT NOT NULL, created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE message (
    seq INTEGER PRIMARY KEY, queue TEXT NOT NULL, message_id TEXT NOT NULL, sent_at INTEGER NOT NULL,
    body TEXT NOT NULL, md5 TEXT NOT NULL, group_id TEXT, attributes TEXT, trace_header TEXT
);
CREATE TABLE progress (
    seq INTEGER PRIMARY KEY, queue TEXT NOT NULL, visible_at INTEGER NOT NULL, receives INTEGER NOT NULL,
    first_received_at INTEGER, dead_letter_source TEXT
);
CREATE TABLE move_task (
    task_id TEXT PRIMARY KEY, source_arn TEXT NOT NULL, destination_arn TEXT, rate INTEGER,
    started_at INTEGER NOT NULL, to_move INTEGER NOT NULL, moved INTEGER NOT NULL, status TEXT NOT NULL,
    failure TEXT
);
"""
_ADD = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_TOUCH = "INSERT OR REPLACE INTO progress VALUES (?, ?, ?, ?, ?, ?)"
# Not a replacement, which would give the task a new place in the order of their starts.
_KEEP_TASK = """
INSERT INTO move_task VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (task_id) DO UPDATE SET moved = excluded.moved, status = excluded.status, failure = excluded.failure
"""
_LOAD = """
SELECT m.seq, coalesce(p.queue, m.queue), m.message_id, m.sent_at, m.body, m.md5, m.group_id, m.attributes,
       m.trace_header, coalesce(p.visible_at, 0), coalesce(p.receives, 0), p.first_received_at,
       p.dead_letter_source
FROM message m LEFT JOIN progress p USING (seq) ORDER BY m.seq
"""


class StorageError(RuntimeError):
    """The data file cannot be used."""


class Storage:
    """One SQLite file, for this process alone; `starts` counts how often it has been opened.

    WAL with synchronous=OFF: a commit is a write to the page cache, which outlives the process (SIGKILL
    included) but not the machine. That is what a local queue needs, for 10 to 20 µs a commit instead of
    the milliseconds of an fsync.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises StorageError if another process has it or it is of another kind."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=0.2)
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._connection.close()
            raise StorageError(f"{path}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def queues(self) -> list[StoredQueue]:
        rows = self._connection.execute("SELECT name, attributes, created_at, modified_at FROM queue")
        return [
            StoredQueue(name, json.loads(attributes), made, changed) for name, attributes, made, changed in rows
        ]

    def messages(self) -> Iterator[Message]:
        """All messages, in order of arrival."""
        for row in self._connection.execute(_LOAD):
            yield _message_of(row)

    def move_tasks(self) -> list[MoveTask]:
        rows = self._connection.execute(
            "SELECT source_arn, destination_arn, rate, started_at, to_move, moved, status, failure, task_id"
            " FROM move_task ORDER BY rowid"
        )
        return [MoveTask(*row) for row in rows]

    def write(self, journal: Journal) -> None:
        """Commit the journal in one transaction. Raises sqlite3.Error, having changed nothing."""
        connection = self._connection
        connection.execute("BEGIN")
        try:
            self._write_messages(journal)
            self._write_queues(journal)
            self._write_tasks(journal)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _prepare(self) -> None:
        connection = self._connection
        # One process only: a second one on the same file would have an index of its own.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN EXCLUSIVE")
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        elif version != _VERSION:
            raise sqlite3.DatabaseError(f"format {version}, this version reads format {_VERSION}")
        self.starts: int = connection.execute("UPDATE start SET number = number + 1 RETURNING number").fetchone()[
            0
        ]
        connection.execute("COMMIT")

    def _write_messages(self, journal: Journal) -> None:
        connection = self._connection
        if journal.added:
            connection.executemany(_ADD, map(_content_row, journal.added.values()))
        if journal.touched:
            connection.executemany(_TOUCH, map(_progress_row, journal.touched.values()))
        if journal.removed:
            gone = [(seq,) for seq in journal.removed]
            connection.executemany("DELETE FROM message WHERE seq = ?", gone)
            connection.executemany("DELETE FROM progress WHERE seq = ?", gone)

    def _write_queues(self, journal: Journal) -> None:
        for name, queue in journal.queues.items():
            if queue is None:
                self._connection.execute("DELETE FROM queue WHERE name = ?", (name,))
            else:
                row = (name, json.dumps(queue.attributes), queue.created_at, queue.modified_at)
                self._connection.execute("INSERT OR REPLACE INTO queue VALUES (?, ?, ?, ?)", row)

    def _write_tasks(self, journal: Journal) -> None:
        for task_id, task in journal.tasks.items():
            if task is None:
                self._connection.execute("DELETE FROM move_task WHERE task_id = ?", (task_id,))
            else:
                self._connection.execute(_KEEP_TASK, _task_row(task))


def _content_row(message: Message) -> tuple[int | str | None, ...]:
    content = message.content
    return (
        message.seq,
        message.queue,
        message.message_id,
        message.sent_at,
        content.body,
        content.md5,
        content.group_id,
        json.dumps(content.attributes) if content.attributes else None,
        content.trace_header,
    )


def _progress_row(message: Message) -> tuple[int | str | None, ...]:
    return (
        message.seq,
        message.queue,
        message.visible_at,
        message.receives,
        message.first_received_at,
        message.dead_letter_source,
    )


def _task_row(task: MoveTask) -> tuple[int | str | None, ...]:
    return (
        task.task_id,
        task.source_arn,
        task.destination_arn,
        task.rate,
        task.started_at,
        task.to_move,
        task.moved,
        task.status,
        task.failure,
    )


def _message_of(
    row: tuple[int, str, str, int, str, str, str | None, str | None, str | None, int, int, int | None, str | None],
) -> Message:
    (
        seq,
        queue,
        message_id,
        sent_at,
        body,
        md5,
        group_id,
        attributes,
        trace,
        visible_at,
        receives,
        first,
        source,
    ) = row
    content = Content(body, md5, group_id, json.loads(attributes) if attributes else None, trace)
    return Message(seq, queue, message_id, content, sent_at, visible_at, receives, first, source)
