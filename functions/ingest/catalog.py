"""The schemas of event types as this process keeps them (E4): compiled, for as long as they are the project's.

What accepts events learns in the same round trip which version the project's catalog has. A schema that was kept
at another version is read and compiled anew in the same transaction: a change counts for the very next event, and
while nothing changes nothing is asked.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from functions.domain.json_schema import Check, Compiled, Failure, SchemaError, compile_schema
from functions.ingest import schemas as queries
from functions.telemetry import logger

MEMORY_BYTES = 64 << 20  # of the function's 1 GiB
BYTES_FOR_AN_ENTRY = 1 << 10  # whatever is in it: names of types that have no schema are kept too


@dataclass(frozen=True)
class Entry:
    """The schema of an event type, None when its events are not checked, as of a version of the catalog."""

    version: int
    schema: Compiled | None

    @property
    def memory(self) -> int:
        return BYTES_FOR_AN_ENTRY + (self.schema.memory if self.schema else 0)


class Catalog:
    """Schemas by project and event type; those that were not used for longest make room."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._most = memory_bytes
        self._entries: OrderedDict[tuple[str, str], Entry] = OrderedDict()
        self.memory = 0

    def schemas(
        self, connection: Connection, project_id: str, version: int, types: Collection[str]
    ) -> dict[str, Compiled]:
        """By type, those that have one; `version` is the project's as the events were stored."""
        found = {type: self._kept(project_id, type, version) for type in types}
        missing = [type for type, entry in found.items() if entry is None]
        if missing:
            stored = queries.schemas_of(connection, project_id, missing)
            found |= {type: self._keep(project_id, type, version, stored) for type in missing}
        return {type: entry.schema for type, entry in found.items() if entry and entry.schema}

    def clear(self) -> None:
        self._entries.clear()
        self.memory = 0

    def _kept(self, project_id: str, type: str, version: int) -> Entry | None:
        entry = self._entries.get((project_id, type))
        if entry is None or entry.version != version:
            return None
        self._entries.move_to_end((project_id, type))
        return entry

    def _keep(self, project_id: str, type: str, version: int, stored: Mapping[str, Any]) -> Entry:
        entry = Entry(version, _compiled(project_id, type, stored[type]) if type in stored else None)
        if before := self._entries.pop((project_id, type), None):
            self.memory -= before.memory
        self._entries[project_id, type] = entry
        self.memory += entry.memory
        while self.memory > self._most:
            self.memory -= self._entries.popitem(last=False)[1].memory
        return entry


catalog = Catalog()


def failures(
    connection: Connection, project_id: str, version: int, data: Sequence[tuple[int, str, Any]], body_size: int
) -> list[tuple[int, Failure]]:
    """What does not fit the schemas: of (position, event type, data), by position. Bounded: a reader's share."""
    schemas = catalog.schemas(connection, project_id, version, {type for _, type, _ in data})
    check = Check(body_size)
    found: list[tuple[int, Failure]] = []
    for position, type, value in data:
        if check.full:
            break
        if type in schemas:
            found += [(position, failure) for failure in check.failures(schemas[type], value)]
    return found


def _compiled(project_id: str, type: str, schema: Any) -> Compiled | None:
    """A schema that was registered and cannot be used any more must not keep events from being accepted."""
    try:
        return compile_schema(schema)
    except SchemaError as error:
        logger.error("schema not usable", project_id=project_id, event_type=type, error=str(error))
        return None
