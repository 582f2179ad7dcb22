import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pg8000.native
import psutil
import pytest

from local import cluster, privileges
from local.files import FolderInUseError
from local.postgres import PostgresError, Server, running

LEAVER = """
import sys, os, signal
from pathlib import Path
from local.postgres import Server
server = Server(Path(sys.argv[1]), durable=False)
server.start()
print(server._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cluster for this file's tests, in a path with a space; each test starts its own server on it."""
    return tmp_path_factory.mktemp("data of postgres") / "server"


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with running(folder, durable=False) as started:
        yield started


def login(server: Server, user: str, password: str) -> None:
    pg8000.native.Connection(user, "127.0.0.1", "postgres", server.port, password).close()


def test_a_new_folder_becomes_a_server_with_c_utf_8_and_passwords(server: Server) -> None:
    [[encoding, locale, superuser]] = server.run(
        "SELECT pg_encoding_to_char(encoding), datlocale, rolsuper FROM pg_database, pg_roles"
        " WHERE datname = current_database() AND rolname = current_user"
    )
    assert (encoding, locale, superuser) == ("UTF8", "C.UTF-8", True)
    with pytest.raises(pg8000.native.DatabaseError, match="password authentication failed"):
        login(server, server.admin, "wrong")
    assert (server.data_dir / "passwords.json").stat().st_mode & 0o777 == 0o600


def test_data_passwords_and_port_are_there_at_the_next_start(folder: Path) -> None:
    with running(folder, durable=False) as first:
        first.ensure_database("kept")
        first.ensure_database("kept")
        url = first.url(database="kept")
        first.run("CREATE TABLE IF NOT EXISTS t (n int)", "kept")
    with running(folder, durable=False) as second:
        assert second.url(database="kept") == url
        assert second.run("SELECT count(*) FROM t", "kept") == [[0]]


def test_a_role_logs_in_with_its_kept_password(server: Server) -> None:
    server.run("DROP ROLE IF EXISTS someone")
    server.run("CREATE ROLE someone LOGIN")
    server.set_password("someone")
    login(server, "someone", server.password("someone"))


def test_a_second_server_on_the_same_folder_is_refused(server: Server) -> None:
    with pytest.raises(FolderInUseError, match=str(os.getpid())):
        Server(server.data_dir, durable=False).start()
    assert server.run("SELECT 1") == [[1]]


def test_a_killed_server_starts_again_with_all_that_was_committed(folder: Path) -> None:
    with running(folder) as server:
        server.run("CREATE TABLE survives (n int)")
        assert server._process is not None
        server._process.kill()
        server._process.wait()
        assert not server.is_running
        server.start()
        assert server.run("SELECT count(*) FROM survives") == [[0]]


def test_a_server_left_behind_is_ended_first(folder: Path) -> None:
    leaver = subprocess.Popen([sys.executable, "-c", LEAVER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert leaver.stdout
    left = int(leaver.stdout.readline())
    leaver.wait()
    with running(folder, durable=False) as server:
        assert server.run("SELECT 1") == [[1]]
        assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE


def test_a_pid_file_whose_number_is_somebody_else_s_is_forgotten(folder: Path) -> None:
    with running(folder, durable=False):
        pass
    (folder / "cluster" / "postmaster.pid").write_text(f"{os.getpid()}\n{folder / 'cluster'}\n")
    with running(folder, durable=False) as server:
        assert server.run("SELECT 1") == [[1]]


def test_a_cluster_of_another_version_is_refused(tmp_path: Path) -> None:
    version = tmp_path / "cluster" / "PG_VERSION"
    version.parent.mkdir(parents=True)
    version.write_text("12\n")
    with pytest.raises(PostgresError, match="Postgres 12"):
        Server(tmp_path).prepare()


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    with running(folder, durable=False) as server:
        pass  # now there is a cluster whose settings can be spoilt
    settings = folder / "cluster" / "postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text("shared_preload_libraries = 'nowhere'\n")
    try:
        with pytest.raises(PostgresError, match="nowhere"):
            server.start()
    finally:
        settings.write_text(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_without_user_namespaces_becomes_another_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges, "user_namespace", lambda: privileges.Drop(("false",), 0))
    privileges.drop_root.cache_clear()
    try:
        with running(folder, durable=False) as server:
            assert server.run("SELECT 1") == [[1]]
            assert server._process is not None
            assert psutil.Process(server._process.pid).username() == "nobody"
    finally:
        privileges.drop_root.cache_clear()
    monkeypatch.undo()
    with running(folder, durable=False) as server:  # and back: the files change hands again
        assert server.run("SELECT 1") == [[1]]


def test_stopping_is_a_clean_shutdown(folder: Path) -> None:
    with running(folder, durable=False) as server:
        process = server._process
    assert process is not None
    assert not cluster.pid_file(folder / "cluster")
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, signal.SIGCONT)


def test_settings_of_the_stack_come_before_those_here(folder: Path) -> None:
    with Server(folder, durable=False, settings={"jit": "1", "random_page_cost": "1.1"}) as server:
        assert server.run("SHOW jit") == [["on"]]
        assert server.run("SHOW random_page_cost") == [["1.1"]]
        assert server.run("SHOW fsync") == [["off"]]
