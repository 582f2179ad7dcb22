"""The run's own hand on the database: a clock that jumps, a full disk, sessions that end, and looks at it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pg8000.native
from sqlalchemy import make_url

APP = "hookline_app"  # every function that delivers logs in as this

# The functions' `now()` is one of the run's own: this schema stands before pg_catalog in their search path. So a
# jump of the clock is one row, and what is written meanwhile has the wrong time, as with a real one. Defaults of
# columns keep the right time. A full disk is the server's own error at whatever would need room.
SET_UP = f"""
CREATE SCHEMA faults;
CREATE TABLE faults.clock (jump interval NOT NULL);
INSERT INTO faults.clock VALUES ('0');
CREATE FUNCTION faults.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
  AS 'SELECT pg_catalog.now() + (SELECT jump FROM faults.clock)';
CREATE FUNCTION faults.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
  AS 'SELECT pg_catalog.clock_timestamp() + (SELECT jump FROM faults.clock)';
CREATE TABLE faults.disk (is_full boolean NOT NULL);
INSERT INTO faults.disk VALUES (false);
CREATE FUNCTION faults.need_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT is_full FROM faults.disk) THEN
    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
  END IF;
  RETURN NULL;
END $$;
GRANT USAGE ON SCHEMA faults TO {APP};
GRANT SELECT ON ALL TABLES IN SCHEMA faults TO {APP};
ALTER ROLE {APP} SET search_path = faults, pg_catalog, public
"""
NEEDS_ROOM = (
    *("webhook_events", "webhook_deliveries", "webhook_delivery_attempts", "webhook_dlq", "webhook_health"),
    *("jobs", "audit_log"),
)
Result = TypeVar("Result")
AWAY = (pg8000.native.InterfaceError, pg8000.native.DatabaseError, OSError)


class Database:
    """As the admin, with a connection for each look: the server may have been started again meanwhile."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)

    def set_up(self) -> None:
        """Once, before the first event; sessions that are open go on with the right clock until they end."""
        with self._connection() as connection:
            for statement in _statements(SET_UP):
                connection.run(statement)
            for table in NEEDS_ROOM:
                connection.run(
                    f"CREATE TRIGGER needs_room BEFORE INSERT OR UPDATE ON webhook.{table}"
                    " FOR EACH STATEMENT EXECUTE FUNCTION faults.need_room()"
                )
        self.end_sessions()

    def rows(self, statement: str, **values: Any) -> list[Any]:
        """Raises one of AWAY."""
        with self._connection() as connection:
            return list(connection.run(statement, **values) or [])

    def end_sessions(self) -> int:
        """End every session of the functions, whatever it is doing; how many there were."""
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :app"
        return len(self.rows(ended, app=APP))

    def jump(self, interval: str) -> None:
        """Put the functions' clock so far from the right time."""
        self.rows("UPDATE faults.clock SET jump = CAST(:jump AS interval)", jump=interval)

    def go_on(self, seconds: int) -> None:
        """Put the functions' clock so much further."""
        self.rows("UPDATE faults.clock SET jump = jump + :seconds * interval '1 second'", seconds=seconds)

    def fill_disk(self, full: bool) -> None:
        self.rows("UPDATE faults.disk SET is_full = :full", full=full)

    @contextmanager
    def _connection(self) -> Iterator[pg8000.native.Connection]:
        url = self._url
        with pg8000.native.Connection(
            str(url.username),
            host="127.0.0.1",
            port=url.port,
            password=url.password,
            database=url.database,
            timeout=60,
        ) as connection:
            yield connection


def until_it_works(work: Callable[[], Result], seconds: float = 60) -> Result:
    """The database may be away at this moment. Raises what the last try raised."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return work()
        except AWAY:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _statements(script: str) -> Iterator[str]:
    """The statements of a script in which bodies stand between $$."""
    whole = ""
    for part in script.split(";\n"):
        whole = f"{whole};\n{part}" if whole else part
        if whole.count("$$") % 2 == 0:
            yield whole
            whole = ""
