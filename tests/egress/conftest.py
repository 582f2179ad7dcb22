"""What every test of egress has: a deployment's policy, a sender without a past, an internet of its own."""

import sys
from collections.abc import Iterator

import pytest

from functions.adapters import sender
from tests import egress_policy as policies
from tests.egress.internet import Internet, internet
from tests.egress_policy import egress_policy
from tests.integration.endpoint import Endpoint, endpoint


def pytest_ignore_collect() -> bool | None:
    """What stands in for libc's functions knows the ELF of 64-bit Linux, where this runs in production."""
    return None if sys.platform == "linux" and sys.maxsize > 2**32 else True


@pytest.fixture(autouse=True)
def policy(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The policy of a deployment, but for plain HTTP and any port: what is refused is refused for its address."""
    with egress_policy(monkeypatch, schemes="http,https", ports="") as environment:
        forget()
        yield environment
    forget()


def forget() -> None:
    """The policy, and with the handles the names, connections and TLS sessions of the process."""
    policies.forget()
    sender._multi.cache_clear()
    sender._spare.clear()


@pytest.fixture
def net() -> Iterator[Internet]:
    with internet() as here:
        yield here


@pytest.fixture(scope="session")
def _one_endpoint() -> Iterator[Endpoint]:
    with endpoint() as here:
        yield here


@pytest.fixture
def receiver(_one_endpoint: Endpoint) -> Endpoint:
    """An endpoint on loopback: one for all tests, as it was at first for each."""
    fresh = Endpoint(url=_one_endpoint.url)
    vars(_one_endpoint).update(vars(fresh))
    return _one_endpoint
