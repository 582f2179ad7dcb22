"""Objects of the local S3 that outlive it: moto has them in memory, but archives are to be there tomorrow."""

import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote


def keep(backend: Any, folder: Path) -> None:
    """Put the folder's objects into moto's buckets, and from now on every object into the folder.

    The newest version alone, without its metadata; objects of buckets that are gone stay where they are.
    """
    for file in folder.glob("*/*"):
        if file.parent.name in backend.buckets:
            backend.put_object(file.parent.name, unquote(file.name), file.read_bytes())
    put, delete = backend.put_object, backend.delete_object

    def put_object(bucket_name: str, key_name: str, value: bytes, *rest: Any, **options: Any) -> Any:
        key = put(bucket_name, key_name, value, *rest, **options)
        _write(folder, _file(folder, bucket_name, key_name), value)
        return key

    def delete_object(bucket_name: str, key_name: str, *rest: Any, **options: Any) -> Any:
        deleted = delete(bucket_name, key_name, *rest, **options)
        if backend.get_object(bucket_name, key_name) is None:
            _file(folder, bucket_name, key_name).unlink(missing_ok=True)
        return deleted

    backend.put_object, backend.delete_object = put_object, delete_object


def _file(folder: Path, bucket: str, key: str) -> Path:
    return folder / bucket / quote(key, safe="")


def _write(folder: Path, file: Path, value: bytes) -> None:
    """Whole or not at all; nothing that was answered is lost with the process."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=folder)
    with os.fdopen(descriptor, "wb") as written:
        written.write(value)
        written.flush()
        os.fsync(written.fileno())
    Path(draft).replace(file)
