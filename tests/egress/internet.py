"""An internet of our own under libcurl: a test says what names resolve to and where addresses really lead.

libcurl resolves by `getaddrinfo` and dials by `connect`, both of libc; both are stood in for in libcurl alone.
Everything between them is what runs in production: libcurl's resolver threads, its cache, its choice among
several addresses, the sender's callbacks. Every address that libcurl dials is written down before the dial.
"""

import ctypes
import ipaddress
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.egress.imports import LIBC, replaced

NOT_FOUND = -2  # EAI_NONAME
GETADDRINFO = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)
)
CONNECT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, use_errno=True)
NEXT = 40  # where `ai_next` is in a struct addrinfo (64 bit)


@dataclass
class Internet:
    """`names` resolve to addresses, or by a function, once per question. `routes` lead an address elsewhere."""

    names: dict[str, list[str] | Callable[[], list[str]]] = field(default_factory=dict)
    routes: dict[str, tuple[str, int]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    dialled: list[tuple[str, int]] = field(default_factory=list)
    slow: dict[str, float] = field(default_factory=dict)  # seconds until a name's answer is there

    def answers(self, name: str) -> list[str]:
        self.asked.append(name)
        time.sleep(self.slow.get(name, 0))
        said = self.names.get(name, [])
        return said() if callable(said) else said


@contextmanager
def internet() -> Iterator[Internet]:
    here = Internet()

    def getaddrinfo(name: bytes, service: bytes, hints: int, result: object) -> int:
        if (literal := _literal(name.decode())) is not None:
            return LIBC.getaddrinfo(literal, service, ctypes.c_void_p(hints), result)
        return _chain(here.answers(name.decode()), service, hints, result)

    def connect(descriptor: int, address: int, length: int) -> int:
        host, port = _spoken(ctypes.string_at(address, length))
        here.dialled.append((host, port))
        spoken = ctypes.string_at(address, length)
        packed = _written(spoken, here.routes[host]) if host in here.routes else spoken
        return LIBC.connect(descriptor, packed, len(packed))

    with (
        replaced("libcurl", "getaddrinfo", GETADDRINFO(getaddrinfo)),
        replaced("libcurl", "connect", CONNECT(connect)),
    ):
        yield here


def _literal(name: str) -> bytes | None:
    """libc reads addresses in every writing that `inet_aton` knows, as it would without us."""
    try:
        return str(ipaddress.ip_address(name.partition("%")[0])).encode()
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(name)).encode()
    except OSError:
        return None


def _chain(addresses: list[str], service: bytes, hints: int, result: ctypes.POINTER(ctypes.c_void_p)) -> int:
    """One list of what libc itself makes of each address; libc frees it node by node."""
    first, last = None, None
    for address in addresses:
        node = ctypes.c_void_p()
        if LIBC.getaddrinfo(address.encode(), service, ctypes.c_void_p(hints), ctypes.byref(node)) != 0:
            continue  # of the other family than libcurl asked for
        if last is None:
            first = node.value
        else:
            ctypes.c_void_p.from_address(last + NEXT).value = node.value
        last = node.value
    if first is None:
        return NOT_FOUND
    result[0] = first
    return 0


def _written(spoken: bytes, route: tuple[str, int]) -> bytes:
    """A socket address of the family that was spoken of; an IPv6 socket reaches IPv4 by a mapped address."""
    there, at = socket.inet_aton(route[0]), socket.htons(route[1])
    if struct.unpack_from("=H", spoken)[0] == socket.AF_INET:
        return struct.pack("=HH4s8x", socket.AF_INET, at, there)
    return struct.pack("=HHI12s4sI", socket.AF_INET6, at, 0, bytes(10) + b"\xff\xff", there, 0)


def _spoken(address: bytes) -> tuple[str, int]:
    family, port = struct.unpack_from("=H", address)[0], struct.unpack_from("!H", address, 2)[0]
    if family == socket.AF_INET:
        return socket.inet_ntop(family, address[4:8]), port
    return socket.inet_ntop(family, address[8:24]), port
