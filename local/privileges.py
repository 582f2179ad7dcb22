"""Postgres refuses to run as root: the two ways to run it all the same, and who then owns its files."""

import functools
import os
import pwd
import subprocess
from dataclasses import dataclass

from local.errors import LocalError


class CannotDropRootError(LocalError):
    """Neither user namespaces nor another user are available to this root."""


@dataclass(frozen=True)
class Drop:
    """Put `prefix` before a command and it runs as somebody else, who must own its data: `owner`."""

    prefix: tuple[str, ...]
    owner: int


@functools.cache
def drop_root() -> Drop:
    """How to run a command as an ordinary user. An ordinary user needs nothing.

    Raises CannotDropRootError when this is root and the kernel allows no way.
    """
    if os.geteuid() != 0:
        return Drop((), os.geteuid())
    for way in (user_namespace(), another_user()):
        if _works(way):
            return way
    raise CannotDropRootError(
        "Postgres does not run as root, and here root may neither make a user namespace (unshare) nor become "
        "another user (setpriv): run this as an ordinary user, or point WEBHOOK_DATABASE_URL to a server"
    )


def user_namespace() -> Drop:
    """Root outside, `nobody` inside: folders that only root may enter (a 0700 home) stay within reach."""
    return Drop(("unshare", "--user", f"--map-user={_nobody()}", "--"), os.geteuid())


def another_user() -> Drop:
    """`nobody` for real, for containers that forbid user namespaces.

    It keeps the one capability that lets it pass folders closed to it; the checkout or the venv may well
    lie below /root. The death signal is set here because changing the user clears it (prctl(2)).
    """
    nobody = _nobody()
    return Drop(
        (
            *("setpriv", f"--reuid={nobody}", "--clear-groups", "--pdeathsig=INT"),
            *("--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--"),
        ),
        nobody,
    )


def _nobody() -> int:
    return pwd.getpwnam("nobody").pw_uid


def _works(way: Drop) -> bool:
    try:
        probe = subprocess.run([*way.prefix, "true"], check=False, capture_output=True)
    except FileNotFoundError:
        return False
    return probe.returncode == 0
