import json
import socket
from pathlib import Path

import pytest

from functions.domain.event_types import is_name
from local.demo.examples import FOLDER, PACKAGE, Example, ExamplesError, event_type, is_installed, load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As npm leaves it, with two payloads."""
    lock = {"packages": {PACKAGE: {"version": "1.0.0", "integrity": "sha512-abc"}}}
    (tmp_path / "package-lock.json").write_text(json.dumps(lock))
    payloads = [
        {"name": "issues", "examples": [{"action": "opened", "n": 1}]},
        {"name": "push", "examples": [{"ref": "main"}]},
    ]
    index = tmp_path / PACKAGE / "api.github.com" / "index.json"
    index.parent.mkdir(parents=True)
    index.write_text(json.dumps(payloads))
    (tmp_path / "node_modules" / ".package-lock.json").write_text(json.dumps(lock))
    return tmp_path


def test_an_event_type_is_the_name_and_the_action_where_there_is_one():
    assert event_type("pull_request", "opened") == "pull_request.opened"
    assert event_type("push", None) == "push"
    assert event_type("repository_dispatch", "on-demand-test") == "repository_dispatch.on-demand-test"


@pytest.mark.parametrize("action", ["two words", "a.b", "ü", "a/b"])
def test_what_an_event_type_may_not_hold_is_replaced(action):
    made = event_type("name", action)
    assert is_name(made)
    assert made.startswith("name.")
    assert made.count(".") == 1


def test_payloads_that_are_there_are_read_without_npm(folder):
    assert load(folder) == [
        Example("issues.opened", {"action": "opened", "n": 1}),
        Example("push", {"ref": "main"}),
    ]


def test_another_version_than_the_locks_is_not_installed(folder):
    assert is_installed(folder)
    other = {"packages": {PACKAGE: {"version": "0.9.0", "integrity": "sha512-xyz"}}}
    (folder / "node_modules" / ".package-lock.json").write_text(json.dumps(other))
    assert not is_installed(folder)


def test_an_installation_that_broke_off_is_none(folder):
    (folder / "node_modules" / ".package-lock.json").unlink()
    assert not is_installed(folder)


def test_a_registry_that_cannot_be_reached_is_said_and_nothing_is_left(tmp_path, monkeypatch):
    for name in ("package.json", "package-lock.json", ".npmrc"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
        with pytest.raises(ExamplesError, match="ECONNREFUSED"):
            load(tmp_path)
    assert not is_installed(tmp_path)


def test_the_lock_pins_every_package_by_its_hash_and_names_no_registry():
    lock = json.loads((FOLDER / "package-lock.json").read_text())
    packages = {path: package for path, package in lock["packages"].items() if path}
    assert PACKAGE in packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values())
