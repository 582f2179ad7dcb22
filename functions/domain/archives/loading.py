"""Loading an archive back into a table, checked against its manifest."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, text

from functions.domain import retention
from functions.domain.archives import files, rows
from functions.domain.archives.files import DamagedError, Store, Tally
from functions.domain.archives.manifest import Part
from functions.domain.archives.writing import HasTime
from functions.domain.partitions import Partition
from functions.statements import named

OWN_IDS = 5_000

Item = TypeVar("Item")


@dataclass
class Loaded:
    """What came of loading: rows that were put into the table, and parts that are in it."""

    rows: int = 0
    parts: int = 0
    # Parts whose rows could not be compared by their digests: they have columns that the table has not any more.
    not_compared: int = 0


def load(
    connection: Connection, store: Store, table: str, parts: Sequence[Part], *, alone: bool, has_time: HasTime
) -> tuple[Loaded, bool]:
    """Put the rows of these files into the table, but for those it has; and whether that is all.

    `alone`: nothing else is in the table or changes it, so that its rows must be the archive's to the last digit.
    Otherwise, where some rows had stayed, the table's win. A file counts as loaded only together with its checks.
    Raises DamagedError.
    """
    loaded = Loaded()
    after = rows.FIRST
    for part in parts:
        with connection.begin():
            present = rows.count(connection, table, after, part.last_id)
        if present != part.rows:
            if not has_time():
                return loaded, False
            _load_one(connection, store, table, part, after, loaded, alone=alone)
        loaded.parts += 1
        after = part.last_id
    return loaded, True


def analyze(connection: Connection, table: str) -> None:
    """So that the planner knows the table from the moment it is a partition."""
    with connection.begin():
        connection.execute(named("archive.analyze", text(f"ANALYZE webhook.{table}")))


def recall_own_ids(connection: Connection, partition: Partition) -> None:
    """The events are found by their callers' own ids again."""
    after = rows.FIRST
    while True:
        with connection.begin():
            ids = retention.with_own_id(connection, partition, after, OWN_IDS)
            if not ids:
                return
            retention.recall_own_ids(connection, partition, ids)
        after = ids[-1]


def _load_one(
    connection: Connection, store: Store, table: str, part: Part, after: str, loaded: Loaded, *, alone: bool
) -> None:
    """The last rows of a file are committed together with what shows that all of it is right."""
    tally = Tally()
    for page, is_last in _with_end(files.pages(files.read(store, part.key, tally))):
        with connection.begin():
            loaded.rows += rows.insert(connection, table, [line for _, line in page])
            if is_last:
                _check_file(part, tally)
                _check_table(connection, table, part, after, alone=alone)
                loaded.not_compared += alone and not _compared(connection, table, part, after, page[-1][1])


def _check_file(part: Part, tally: Tally) -> None:
    found = (tally.sha256.hex(), tally.rows, tally.first_id, tally.last_id)
    if found != (part.sha256, part.rows, part.first_id, part.last_id):
        raise DamagedError(f"{part.key} is not as its manifest says")


def _check_table(connection: Connection, table: str, part: Part, after: str, *, alone: bool) -> None:
    present = rows.count(connection, table, after, part.last_id)
    if present < part.rows or (alone and present > part.rows):
        raise DamagedError(f"{table} has {present} rows where {part.key} has {part.rows}")


def _compared(connection: Connection, table: str, part: Part, after: str, line: str) -> bool:
    """Whether the rows could be compared, with the columns that their lines have. Raises DamagedError."""
    archived = list(json.loads(line))
    if not set(archived) <= {one.name for one in rows.columns(connection, table)}:
        return False
    found = rows.summary(connection, table, after, part.last_id, archived)
    if found.digest != part.digest:
        raise DamagedError(f"the rows of {table} are not those of {part.key}")
    return True


def _with_end(items: Iterator[Item]) -> Iterator[tuple[Item, bool]]:
    """Each item, and whether it is the last."""
    for item, following in itertools.pairwise(itertools.chain(items, [None])):
        if item is not None:
            yield item, following is None
