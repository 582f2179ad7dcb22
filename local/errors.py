"""The one base of what can keep the stack from running; its sentence is meant for the person who started it."""


class LocalError(RuntimeError):
    """The stack cannot run, or not go on, on this machine."""
