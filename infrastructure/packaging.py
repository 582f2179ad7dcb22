"""The one asset that all functions share: our code and the locked wheels for arm64.

The asset's hash comes from what goes in, so the template is the same whether the asset was built or not:
a local run or a test needs no wheels, a deployment builds them without Docker.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import jsii
import uv
from aws_cdk import aws_lambda as lambda_

ROOT = Path(__file__).resolve().parent.parent
CODE = ("functions/**/*", "migrations/**/*", "alembic.ini", "infrastructure/rds-roots.pem")
LOCK = "requirements.txt"

# Lambda's python3.13 runs on Amazon Linux 2023 (glibc 2.34), so manylinux_2_28 wheels load there.
INSTALL = (
    "--python-platform", "aarch64-manylinux_2_28",
    "--python-version", "3.13",
    "--only-binary", ":all:",
    "--require-hashes",
    "--no-compile-bytecode",
)  # fmt: skip

# Written by installers, different on every machine, and read by nothing at run time: scripts name the
# interpreter they were installed with, RECORD has the hashes of the scripts.
MACHINE_MADE = ("bin", ".lock", "*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED")

UNZIPPED_LIMIT = 250 * 1024 * 1024  # bytes; AWS's documented limit for a function with its layers
ELF_MACHINE_AARCH64 = 183  # e_machine in the ELF header (System V ABI for the Arm 64-bit architecture)


def code() -> lambda_.Code:
    """The shared asset. CDK builds it unless the context says that no stack is to be bundled."""
    return lambda_.Code.from_asset(
        str(ROOT),
        asset_hash=asset_hash(),
        asset_hash_type=cdk.AssetHashType.CUSTOM,
        bundling=cdk.BundlingOptions(
            local=LocalBundling(),
            # CDK requires one; LocalBundling never declines, so it is never asked for.
            image=cdk.DockerImage.from_registry("never-used"),
        ),
    )


def asset_hash() -> str:
    """Changes when, and only when, what goes into the asset does, or how it is made."""
    return _hash(_files(*CODE, LOCK), recipe=INSTALL + MACHINE_MADE)


def migrations_revision() -> str:
    """Changes when, and only when, a file of migrations/ does."""
    return _hash(_files("migrations/**/*"))


@jsii.implements(cdk.ILocalBundling)
class LocalBundling:
    """Builds the asset with uv and copies."""

    def try_bundle(self, output_dir: str, *, image: cdk.DockerImage, **options: Any) -> bool:  # noqa: ARG002
        """Always builds: a failure is an error here, never a reason to look for Docker.

        jsii passes the options by keyword only to a method that names one of them.
        """
        build(Path(output_dir))
        return True


def build(target: Path) -> None:
    """Fill `target` with what Lambda unpacks. The same input gives the same bytes.

    Raises subprocess.CalledProcessError when a wheel cannot be had, RuntimeError when the result would
    not run on Lambda.
    """
    # uv insists on an interpreter of this machine; which wheels it takes is said by INSTALL alone.
    install = [uv.find_uv_bin(), "pip", "install", "--quiet", "--python", sys.executable]
    subprocess.run([*install, *INSTALL, "--target", str(target), "-r", str(ROOT / LOCK)], check=True)
    for path in _files(*CODE):
        copy = target / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    _strip(target)
    _let_lambda_read(target)
    size, libraries = inspect(target)
    print(f"asset: {size / 1024**2:.1f} MB unzipped, {libraries} arm64 libraries", file=sys.stderr)


def _files(*patterns: str) -> list[Path]:
    """Our files by sorted path, without caches and hidden files."""
    found = (path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file())
    return sorted((path for path in found if not _is_litter(path.relative_to(ROOT))), key=Path.as_posix)


def _is_litter(path: Path) -> bool:
    return path.suffix == ".pyc" or any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def _hash(paths: list[Path], *, recipe: tuple[str, ...] = ()) -> str:
    """SHA-256 over names and contents: neither times nor the place of the checkout count."""
    total = hashlib.sha256(repr(recipe).encode())
    for path in paths:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(ROOT).as_posix()} {content}\n".encode())
    return total.hexdigest()


def _strip(target: Path) -> None:
    for pattern in (*MACHINE_MADE, "**/__pycache__"):
        for path in list(target.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _let_lambda_read(target: Path) -> None:
    """Modes travel in the zip, and Lambda's user is not the builder: a strict umask must not count."""
    for path in target.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def inspect(target: Path) -> tuple[int, int]:
    """Size in bytes and number of native libraries. Raises RuntimeError for what Lambda would refuse."""
    files = [path for path in target.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    if size >= UNZIPPED_LIMIT:
        raise RuntimeError(f"the asset is {size} bytes unzipped; Lambda takes less than {UNZIPPED_LIMIT}")
    libraries = [path for path in files if ".so" in path.suffixes]
    foreign = [path.name for path in libraries if _machine(path) != ELF_MACHINE_AARCH64]
    if foreign or not libraries:
        raise RuntimeError(f"not arm64: {foreign}" if foreign else "no native library at all in the asset")
    return size, len(libraries)


def _machine(library: Path) -> int:
    """The e_machine field of an ELF file: two bytes at offset 18, little-endian."""
    with library.open("rb") as file:
        header = file.read(20)
    return int.from_bytes(header[18:20], "little") if header.startswith(b"\x7fELF") else -1
