"""A child process that ends when its parent does, even when the parent is killed with SIGKILL."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # prctl(2)

# Looked up before any fork: between fork and exec nothing may be imported or allocated by ctypes.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def die_with_parent(how: signal.Signals = signal.SIGKILL, *, niceness: int = 0) -> Callable[[], None]:
    """A `preexec_fn` after which the kernel sends `how` to the child when its parent's thread ends.

    "Parent" is the thread that starts the child (prctl(2)), so start children from a thread that lives as
    long as they may. Outside Linux it does nothing. A `preexec_fn` is unsafe beside threads when it takes
    locks; this one makes a few system calls and takes none. `niceness` is added to the child's (nice(2)).
    """
    parent = os.getpid()

    def tie() -> None:
        if niceness:
            os.nice(niceness)
        if _prctl is None:
            return
        _prctl(PR_SET_PDEATHSIG, int(how))
        if os.getppid() != parent:  # it died before the tie was made
            os._exit(1)

    return tie
