"""TCP ports on loopback."""

import socket
from pathlib import Path

from local.errors import LocalError


class PortTakenError(LocalError):
    """Somebody else listens on the port that was asked for."""


def kept_port(file: Path, asked: int = 0) -> int:
    """The port asked for; else the one `file` kept from the last start, so that an open client finds it again.

    Raises PortTakenError when the one asked for is taken. Somebody may take it before the caller does.
    """
    if asked:
        if not is_free(asked):
            raise PortTakenError(f"port {asked} is taken")
        return asked
    last = int(file.read_text()) if file.exists() else 0
    port = last if last and is_free(last) else free_port()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(str(port))
    return port


def answers(port: int) -> bool:
    """Whether somebody accepts connections on `port` at 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_free(port: int) -> bool:
    """Whether `port` can be listened on at 127.0.0.1 now."""
    with socket.socket() as probe:
        # Servers set this too: without it a port in TIME_WAIT after a restart would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
