"""The asset: named by what goes in, the same bytes each time, fit for Lambda."""

import hashlib
import os
import ssl
import struct
from pathlib import Path

import pytest

from infrastructure import packaging
from infrastructure.database import CA_FILE
from tests.infrastructure.synthesized import ROOT, Template, synthesize

AARCH64, X86_64 = 183, 62


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small tree that packaging takes for the repo."""
    for name in ("functions/api/handler.py", "migrations/versions/one.py", "requirements.txt", "app.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    monkeypatch.setattr(packaging, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize("changed", ["functions/api/handler.py", "migrations/versions/one.py", "requirements.txt"])
def test_a_change_of_what_goes_in_changes_the_name(checkout: Path, changed: str) -> None:
    before = packaging.asset_hash()
    (checkout / changed).write_text("changed")
    assert packaging.asset_hash() != before


def test_a_file_that_moves_changes_the_name(checkout: Path) -> None:
    before = packaging.asset_hash()
    (checkout / "functions/api/handler.py").rename(checkout / "functions/api/other.py")
    assert packaging.asset_hash() != before


def test_what_does_not_go_in_does_not_change_the_name(checkout: Path) -> None:
    before = packaging.asset_hash()
    (checkout / "app.py").write_text("changed")
    (checkout / "functions/__pycache__").mkdir()
    (checkout / "functions/__pycache__/handler.cpython-313.pyc").write_bytes(b"cache")
    (checkout / "functions/.handler.py.swp").write_bytes(b"an editor's")
    os.utime(checkout / "functions/api/handler.py", (0, 0))
    assert packaging.asset_hash() == before


def test_only_migrations_change_the_revision(checkout: Path) -> None:
    before = packaging.migrations_revision()
    (checkout / "functions/api/handler.py").write_text("changed")
    (checkout / "requirements.txt").write_text("changed")
    assert packaging.migrations_revision() == before
    (checkout / "migrations/versions/two.py").write_text("new")
    assert packaging.migrations_revision() != before


def test_a_library_for_another_processor_is_refused(tmp_path: Path) -> None:
    _library(tmp_path / "good.so", AARCH64)
    assert packaging.inspect(tmp_path) == (20, 1)
    _library(tmp_path / "bad.cpython-313-x86_64-linux-gnu.so.1", X86_64)
    with pytest.raises(RuntimeError, match=r"not arm64: .*bad"):
        packaging.inspect(tmp_path)


def test_an_asset_without_native_libraries_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pure.py").write_text("")
    with pytest.raises(RuntimeError, match="no native library"):
        packaging.inspect(tmp_path)


def test_an_asset_too_big_for_lambda_is_refused(tmp_path: Path) -> None:
    _library(tmp_path / "good.so", AARCH64)
    with (tmp_path / "big").open("wb") as file:
        file.truncate(250 * 1024**2)  # a hole: it takes no room
    with pytest.raises(RuntimeError, match="Lambda takes less"):
        packaging.inspect(tmp_path)


def test_the_roots_of_rds_are_ones_python_takes(dev: Template) -> None:
    ca_file = dev.environment("maintain")["DATABASE_CA_FILE"]
    assert ca_file == CA_FILE
    context = ssl.create_default_context(cafile=ROOT / Path(ca_file).relative_to("/var/task"))
    roots = context.get_ca_certs()
    names = {dict(part[0] for part in root["subject"])["commonName"] for root in roots}
    assert len(names) == len(roots) >= 27
    assert {name.removeprefix("Amazon RDS ").split(" ", 1)[1] for name in names} == {"Root CA RSA2048 G1"}
    assert {"Amazon RDS us-east-1 Root CA RSA2048 G1", "Amazon RDS eu-central-1 Root CA RSA2048 G1"} <= names
    instance = dev.only("AWS::RDS::DBInstance")["Properties"]
    assert instance["CACertificateIdentifier"] == "rds-ca-rsa2048-g1"


@pytest.mark.registry
def test_bundling_adds_an_asset_and_changes_nothing_in_the_template(dev: Template, tmp_path: Path) -> None:
    said = synthesize(tmp_path / "out", "--bundle", **_registry())

    bundled = tmp_path / "out" / dev.path.name
    assert bundled.read_bytes() == dev.path.read_bytes()
    [asset] = (tmp_path / "out").glob("asset.*")
    key = dev.function("api")[1]["Code"]["S3Key"]
    assert asset.name == f"asset.{key.removesuffix('.zip')}"
    assert "arm64 libraries" in said
    for name in ("functions/api/handler.py", "migrations/env.py", "alembic.ini", "pycurl", "sqlalchemy"):
        assert (asset / name).exists()
    assert (asset / Path(CA_FILE).relative_to("/var/task")).exists()
    assert list(asset.rglob("__pycache__")) == []

    again = tmp_path / "again"
    umask = os.umask(0o077)
    try:
        packaging.build(again)
    finally:
        os.umask(umask)
    assert _contents(again) == _contents(asset)


def _library(path: Path, machine: int) -> None:
    path.write_bytes(b"\x7fELF" + bytes(14) + struct.pack("<H", machine))


def _contents(folder: Path) -> dict[str, tuple[int, str]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.rglob("*")
        if path.is_file()
    }


def _registry() -> dict[str, str]:
    """The way to a package registry is the machine's own: a proxy, a mirror, certificates."""
    return {"HTTPS_PROXY": "", "HTTP_PROXY": "", **os.environ, "PATH": ""}
