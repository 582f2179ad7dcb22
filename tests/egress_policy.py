"""The egress policy that a test runs under."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from functions.domain import egress
from functions.settings import settings


@contextmanager
def egress_policy(
    environment: pytest.MonkeyPatch, *, schemes: str = "https", ports: str = "443,8443"
) -> Iterator[pytest.MonkeyPatch]:
    """As a deployment on AWS has it, unless told otherwise."""
    environment.setenv("EGRESS_SCHEMES", schemes)
    environment.setenv("EGRESS_PORTS", ports)
    environment.setenv("EGRESS_ALLOWED_NETWORKS", "")
    forget()
    yield environment
    forget()


def forget() -> None:
    """Whatever was decided by the policy before."""
    settings.cache_clear()
    egress.is_allowed.cache_clear()
    egress.opened.cache_clear()
