"""What of a batch of claims is sent when: each host gets its share at a time, and nothing is begun too late."""

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from functions.adapters.sender import Request, Response
from functions.deliver.claims import Claim
from functions.deliver.opened import opened
from functions.deliver.requests import request
from functions.deliver.unsent import release
from functions.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

LAST_START_MARGIN_MS = 3_000  # what recording needs after the last response
PER_HOST = 32  # requests at a time to one host and port: an endpoint may have few sockets and we many functions
RELEASED_FOR = timedelta(seconds=1)
UNREADABLE_FOR = timedelta(minutes=1)


class Outbound:
    """The requests of claims, made when there is room for them: each host's in order, the hosts in turn."""

    def __init__(self, claims: list[Claim], context: "LambdaContext") -> None:
        # All keys before the first request: while KMS is asked, nothing that is under way would be looked after.
        self._opened = {one.webhook.id: opened(one.webhook) for one in _one_each(claims)}
        self._context = context
        self._waiting: dict[str, deque[Claim]] = {}
        self._under_way: Counter[str] = Counter()
        self._late: list[Claim] = []
        self._unreadable = [claimed for claimed in claims if self._opened[claimed.webhook.id] is None]
        for claimed in claims:
            if self._opened[claimed.webhook.id] is not None:
                self._waiting.setdefault(_host(claimed), deque()).append(claimed)

    def requests(self) -> Iterator[Request | None]:
        """The next request; None while every one that is left waits for its host."""
        while self._waiting:
            claimed = self._next()
            webhook = self._opened[claimed.webhook.id] if claimed else None
            if claimed is None or webhook is None:
                yield None
            elif self._too_late_for(claimed):
                self._late.append(claimed)
            else:
                self._under_way[_host(claimed)] += 1
                yield request(claimed, webhook, int(time.time()))

    def done(self, response: Response) -> None:
        """Make room at the host that answered."""
        self._under_way[_host(response.request.reference)] -= 1

    def give_back(self) -> None:
        if self._late:
            logger.warning("no time left for these, released", count=len(self._late))
            release(self._late, RELEASED_FOR)
        if self._unreadable:
            release(self._unreadable, UNREADABLE_FOR)

    def _next(self) -> Claim | None:
        """The first waiting claim of the first host that has room; the host then stands at the end of the line."""
        host = next((host for host in self._waiting if self._under_way[host] < PER_HOST), None)
        if host is None:
            return None
        line = self._waiting.pop(host)
        claimed = line.popleft()
        if line:
            self._waiting[host] = line
        return claimed

    def _too_late_for(self, claimed: Claim) -> bool:
        needed = claimed.webhook.timeout_seconds * 1000 + LAST_START_MARGIN_MS
        return self._context.get_remaining_time_in_millis() < needed


def _host(claimed: Claim) -> str:
    return urlsplit(claimed.webhook.url).netloc


def _one_each(claims: list[Claim]) -> Iterable[Claim]:
    """One claim of each webhook."""
    return {claimed.webhook.id: claimed for claimed in claims}.values()
