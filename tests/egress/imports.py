"""Standing in for a function that a loaded shared library imports, without a compiler or root.

A library calls another one's function through a slot of its own that holds the function's address. Writing another
address there changes what this one library calls, and nothing else of the process.
"""

import ctypes
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

RELA, DYNSYM = 4, 11  # section types (ELF-64, table 4-1)
SLOTS = frozenset({6, 7, 1025, 1026})  # GLOB_DAT and JUMP_SLOT, of x86-64 and of AArch64
LIBC = ctypes.CDLL(None, use_errno=True)


@contextmanager
def replaced(library: str, function: str, stand_in: Any) -> Iterator[None]:
    """While this lasts, the loaded library whose path holds `library` calls `stand_in`, a ctypes function."""
    path, base = _loaded(library)
    address = ctypes.cast(stand_in, ctypes.c_void_p).value
    slots = [base + offset for offset in _slots(path.read_bytes(), function.encode())]
    assert slots, f"{path.name} does not call {function}"
    before = [_write(slot, address) for slot in slots]
    try:
        yield
    finally:
        for slot, old in zip(slots, before, strict=True):
            _write(slot, old)


def _loaded(library: str) -> tuple[Path, int]:
    """Where the library lies on the disk and in memory."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if library in line.rpartition("/")[2]:
            return Path(line.split(maxsplit=5)[5]), int(line.partition("-")[0], 16)
    raise LookupError(f"no {library} is loaded")


def _slots(elf: bytes, function: bytes) -> Iterator[int]:
    """The offsets of the slots that the dynamic linker fills with the function's address."""
    table, size, count = struct.unpack_from("<Q", elf, 0x28)[0], *struct.unpack_from("<HH", elf, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", elf, table + n * size) for n in range(count)]
    for kind, _offset, link, start, length in ((s[1], s[3], s[6], s[4], s[5]) for s in sections):
        if kind != RELA or sections[link][1] != DYNSYM:
            continue
        names = sections[sections[link][6]][4]
        for at in range(start, start + length, 24):
            offset, info = struct.unpack_from("<QQ", elf, at)
            name = names + struct.unpack_from("<I", elf, sections[link][4] + (info >> 32) * 24)[0]
            if info & 0xFFFFFFFF in SLOTS and elf[name : name + len(function) + 1] == function + b"\0":
                yield offset


def _write(slot: int, address: int | None) -> int | None:
    """Put the address there and return the one before. The page may be read-only once everything is linked."""
    page = slot & -mmap.PAGESIZE
    pages = ctypes.c_size_t(2 * mmap.PAGESIZE)
    assert LIBC.mprotect(ctypes.c_void_p(page), pages, mmap.PROT_READ | mmap.PROT_WRITE) == 0
    pointer = ctypes.c_void_p.from_address(slot)
    before, pointer.value = pointer.value, address
    return before
