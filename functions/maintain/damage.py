"""Archives that are not what was written: none keeps the others back, and the job fails all the same."""

from collections.abc import Iterator
from contextlib import contextmanager

from functions.domain.archives.files import DamagedError
from functions.telemetry import logger


class Damage:
    """What one run came upon. It fails by `tell`, when everything else is done."""

    def __init__(self) -> None:
        self._last: DamagedError | None = None

    @contextmanager
    def passed_over(self, partition: str) -> Iterator[None]:
        """Work on one archive, which ends where it turns out to be damaged."""
        try:
            yield
        except DamagedError as error:
            logger.exception("an archive is damaged, its rows stay", partition=partition)
            self._last = error

    def tell(self) -> None:
        """Raises DamagedError if there was any."""
        if self._last is not None:
            raise self._last
