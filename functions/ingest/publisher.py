"""Who an event comes from, as far as accepting it goes. A caller of the API is one; a source has one made."""

from dataclasses import dataclass
from typing import Protocol


class Publisher(Protocol):
    """What `application_id` is not empty is bound to that application, and publishes nothing else (C1)."""

    @property
    def project_id(self) -> str: ...

    @property
    def application_id(self) -> str: ...

    @property
    def correlation_id(self) -> str: ...


@dataclass(frozen=True)
class Inside:
    """Whoever publishes from inside: for the whole project, whatever application an event names."""

    project_id: str
    correlation_id: str
    application_id: str = ""
