"""Files of the state folder: secrets only their owner may read, and one lock for whoever uses the folder."""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

from local.errors import LocalError


class FolderInUseError(LocalError):
    """Another process holds the lock."""


def write_private(path: Path, text: str) -> None:
    """Write `text` whole or not at all, readable by the owner only (0600)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(draft).replace(path)


def lock(path: Path) -> IO[str]:
    """Hold `path` until the returned file is closed or this process ends, however it ends.

    Raises FolderInUseError, naming the holder's pid, when another process has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise FolderInUseError(f"{path.parent} is in use by process {holder}") from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
