import subprocess
import sys
from pathlib import Path

import pytest

from local.files import FolderInUseError, lock, write_private

HOLDER = """
import sys
from pathlib import Path
from local.files import lock
file = lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_private_file_is_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "secret.json"
    write_private(file, "one")
    write_private(file, "two")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("two", 0o600)
    assert list(file.parent.iterdir()) == [file]


def test_a_lock_is_held_until_its_process_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FolderInUseError, match=str(holder.pid)):
            lock(path)
    finally:
        holder.kill()
        holder.wait()
    lock(path).close()
