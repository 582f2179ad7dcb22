"""The one way to the database (B3): a transaction that commits on success and rolls back on error.

pg8000 behind a transaction pooler wants explicit transactions only: nothing here sets session state, and no
caller may (no isolation_level, no SET, no session locks, no stream_results).
"""

import json
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.pool import NullPool, QueuePool

from functions.adapters import timing
from functions.adapters.driver import make_cheaper
from functions.settings import DATABASE_URL_VARIABLES, settings
from functions.statements import named
from functions.telemetry import logger

RECYCLE_SECONDS = 1500  # below the proxy's idle client timeout of 1800 s
# Connection exceptions, rollbacks by deadlock or serialization, resources (disk full, too many connections),
# operator intervention (shutdown, starting up), lock not available.
TRANSIENT = ("08", "40", "53", "57", "55P03")
OWNER = "hookline_owner"
MAY_BE_OWNER = named(
    "database.may_be_owner",
    text(f"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '{OWNER}' AND pg_has_role(oid, 'SET'))"),  # noqa: S608
)
BE_OWNER = named("database.be_owner", text(f"SET ROLE {OWNER}"))
PING_AFTER_SECONDS = 1
# A restart of the server takes about so long; a failover is for the queue to bridge.
PAUSES_SECONDS = (0.2, 1.0, 2.0)
# For connecting and for any answer: above the role's statement timeout of 20 s, below the API's 29 s.
TIMEOUT_SECONDS = 22

Result = TypeVar("Result")

make_cheaper()
# The pool tells of every connection that broke with a traceback; whoever was using it gets the error anyway.
logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)


@contextmanager
def transaction() -> Iterator[Connection]:
    """One transaction on this process's one connection.

    Raises sqlalchemy.exc.DBAPIError; `is_transient` tells whether trying again makes sense.
    """
    with engine().begin() as connection:
        yield connection


@cache
def engine() -> Engine:
    """One connection a process: a Lambda runs one invocation at a time, the proxy does the pooling."""
    return _listening(
        create_engine(
            database_url(),
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=0,
            pool_recycle=RECYCLE_SECONDS,
            connect_args=_connect_args(),
        )
    )


@contextmanager
def connect_owner() -> Iterator[Connection]:
    """A connection of its own for migrations and maintenance, to the instance and not the proxy.

    It acts as the schema's owner where that role is there and this user may: what it makes belongs to the owner.
    """
    owner = _listening(create_engine(database_url(), poolclass=NullPool, connect_args=_connect_args(None)))
    with owner.connect() as connection:
        if connection.execute(MAY_BE_OWNER).scalar_one():
            connection.execute(BE_OWNER)
        connection.commit()
        yield connection


@contextmanager
def connect_briefly(seconds: int) -> Iterator[Connection]:
    """A connection of its own for whoever must have an answer, or an error, within so many seconds.

    A statement timeout would be session state, which a pooler cannot have: it is the driver that does not wait.
    Raises sqlalchemy.exc.DBAPIError.
    """
    brief = _listening(create_engine(database_url(), poolclass=NullPool, connect_args=_connect_args(seconds)))
    with brief.connect() as connection:
        yield connection


def database_url() -> URL:
    """The URL the environment names (B2), else the endpoint on AWS; the password comes when connecting."""
    where = settings().database
    if where.url:
        url = make_url(where.url)
        driver = url.drivername if "+" in url.drivername else "postgresql+pg8000"
        return url.set(drivername=driver).difference_update_query(["sslmode"])
    if not where.host:
        raise RuntimeError(f"no database: set {DATABASE_URL_VARIABLES[0]}=postgresql://user:password@host/name")
    return URL.create(
        "postgresql+pg8000", username=where.user, host=where.host, port=where.port, database=where.name
    )


def again(work: Callable[[], Result]) -> Result:
    """What `work` returns, tried again for a few seconds while the database is away (A10).

    `work` opens its own transaction and may be run twice: a commit whose answer was lost may have happened.
    Raises what the last try raised.
    """
    for pause in PAUSES_SECONDS:
        try:
            return work()
        except DBAPIError as error:
            if not is_transient(error):
                raise
            timing.note_retry()
            logger.warning("database away, trying again", pause_seconds=pause, error=str(error.orig))
            time.sleep(pause)
    return work()


def is_transient(error: DBAPIError) -> bool:
    """Whether the connection broke or the server was not there: nothing says the statement itself is wrong."""
    if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
        return True
    return sqlstate(error).startswith(TRANSIENT)


def sqlstate(error: DBAPIError) -> str:
    """The five characters of PostgreSQL's error code (its manual, Appendix A); empty where there are none."""
    original: Any = error.orig
    if code := getattr(original, "sqlstate", None):
        return str(code)
    fields = original.args[0] if original is not None and original.args else None
    return str(fields.get("C", "")) if isinstance(fields, dict) else ""


def _connect_args(timeout: int | None = TIMEOUT_SECONDS) -> dict[str, Any]:
    args: dict[str, Any] = {"timeout": timeout}
    where = settings().database
    mode = make_url(where.url).query.get("sslmode") if where.url else "verify-full"
    if mode in {"require", "verify-ca", "verify-full"}:
        args["ssl_context"] = ssl.create_default_context(cafile=where.ca_file or None)
    elif mode == "disable":
        args["ssl_context"] = False
    return args


def _listening(listened: Engine) -> Engine:
    timing.watch(listened.dialect)

    @event.listens_for(listened, "do_connect")
    def connect(dialect: Any, _record: Any, args: Any, parameters: dict[str, Any]) -> Any:
        if not settings().database.url:
            parameters["password"] = _password()
        try:
            return dialect.connect(*args, **parameters)
        except OSError as error:  # what pg8000 lets through of sockets and TLS
            raise dialect.loaded_dbapi.InterfaceError(f"network error: {error}") from error

    @event.listens_for(listened, "connect")
    def send_at_once(connection: Any, _record: Any) -> None:
        # pg8000 leaves Nagle's algorithm on: a 100-row insert takes 92 ms instead of 4.6 ms.
        if (usock := getattr(connection, "_usock", None)) is not None:
            usock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @event.listens_for(listened, "checkin")
    def note_the_time(_connection: Any, record: Any) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(listened, "checkout")
    def check_after_a_rest(connection: Any, record: Any, _proxy: Any) -> None:
        # What pool_pre_ping does at every checkout: the proxy or a failover may have closed a connection that
        # rested while the function was frozen. One in steady use is not asked each time.
        if time.monotonic() - record.info.get("idle_since", time.monotonic()) > PING_AFTER_SECONDS:
            try:
                listened.dialect.do_ping(connection)
            except listened.dialect.loaded_dbapi.Error as error:
                raise DisconnectionError from error

    return listened


def _password() -> str:
    """A fresh IAM token (valid for 15 minutes, signed without a call), or the master user's secret."""
    import boto3  # noqa: PLC0415 - 250 ms that a process with a database URL never pays

    where = settings().database
    if where.secret_arn:
        secret = boto3.client("secretsmanager").get_secret_value(SecretId=where.secret_arn)["SecretString"]
        return str(json.loads(secret)["password"])
    token: str = boto3.client("rds").generate_db_auth_token(
        DBHostname=where.host, Port=where.port, DBUsername=where.user
    )
    return token
