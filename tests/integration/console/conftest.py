"""The queues with their dead-letter queues, and an endpoint that refuses."""

import pytest

from tests.integration.conftest import Service
from tests.integration.console.scene import Queues, with_dlqs
from tests.integration.endpoint import Endpoint


@pytest.fixture
def queues(service: Service, monkeypatch: pytest.MonkeyPatch) -> Queues:
    return with_dlqs(service, monkeypatch)


@pytest.fixture
def receiver(receiver: Endpoint) -> Endpoint:
    """It refuses everything, until a test mends it: by no status that would open its circuit."""
    receiver.status = 404
    return receiver
