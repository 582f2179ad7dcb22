"""What of an invocation's claims is sent when: hosts have their share, lines their turn, nothing begins late."""

import time
from collections import Counter, deque
from collections.abc import Collection, Iterator
from itertools import takewhile
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from functions.adapters.sender import Errand, Request, Response
from functions.deliver.claims import Claim
from functions.deliver.intake import Intake
from functions.deliver.opened import Opened, opened
from functions.deliver.requests import request
from functions.settings import settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

LAST_START_MARGIN_MS = 3_000  # what recording needs after the last response
IDLE_AFTER_SECONDS = 0.5  # most endpoints have answered by then, and the invocation, which is paid for, is over
MOST_WAITING = 100  # claims at hand beyond which no more are taken in: a message's worth
PER_HOST = 32  # requests at a time to one host and port: an endpoint may have few sockets and we many functions


class Outbound:
    """The requests of claims, made when there is room for them: each host's in order, the hosts in turn.

    Of a strict webhook one at a time, and the next only when what came of the one before is recorded.
    """

    def __init__(self, context: "LambdaContext", intake: Intake) -> None:
        self._context = context
        self._intake = intake
        self._opened: dict[str, Opened | None] = {}
        self._hosts: dict[str, str] = {}  # with the port, by webhook
        self._waiting: dict[str, deque[Claim]] = {}  # by host
        self._lines: dict[
            str, deque[Claim]
        ] = {}  # by strict webhook: those behind the one that is waiting or sent
        self._under_way: dict[str, tuple[Claim, float]] = {}  # with when it was started, by the clock below
        self._deaf = 0.0  # seconds in which nobody listened: answers that were there meanwhile were not slow
        self._at_hosts: Counter[str] = Counter()
        self._suspected: set[str] = set()
        self.late: list[Claim] = []
        self.unreadable: list[Claim] = []

    def add(self, claims: list[Claim]) -> None:
        # All keys before the first request: while KMS is asked, nothing that is under way would be looked after.
        for claimed in claims:
            if claimed.webhook.id not in self._opened:
                self._opened[claimed.webhook.id] = opened(claimed.webhook)
                self._hosts[claimed.webhook.id] = urlsplit(claimed.webhook.url).netloc
        for claimed in claims:
            if self._opened[claimed.webhook.id] is None:
                self.unreadable.append(claimed)
            elif claimed.webhook.strict and claimed.webhook.id in self._lines:
                self._lines[claimed.webhook.id].append(claimed)
            else:
                if claimed.webhook.strict:
                    self._lines[claimed.webhook.id] = deque()
                self._wait(claimed)

    def busy(self) -> Counter[str]:
        """How many requests to each webhook are at hand, under way or waiting."""
        waiting = (claimed for line in self._waiting.values() for claimed in line)
        return Counter(one.webhook.id for one in (*(one for one, _ in self._under_way.values()), *waiting))

    def requests(self) -> Iterator[Request | Errand | None]:
        """The next request; None while every one that is left waits for its host, or for a record.

        While there is nothing to do but wait for slow endpoints, more is taken in.
        """
        while self._waiting or self._under_way or self._intake.is_open:
            if (claimed := self._next()) is not None:
                if (made := self._begin(claimed)) is not None:
                    yield made
            elif self._is_idle() and (errand := self._intake.open()) is not None:
                yield errand
            else:
                yield None

    def done(self, response: Response) -> int:
        """Make room at the host that answered; how many ms of listening it took."""
        claimed: Claim = response.request.reference
        _, started = self._under_way.pop(claimed.id)
        self._at_hosts[self._hosts[claimed.webhook.id]] -= 1
        return int((self._clock() - started) * 1000)

    def was_deaf(self, seconds: float) -> None:
        """So long this process did something else than to listen for answers."""
        self._deaf += seconds

    def is_last(self, claimed: Claim) -> bool:
        """Whether nothing of its strict webhook's line is at hand behind it."""
        return claimed.webhook.strict and not self._lines.get(claimed.webhook.id)

    def go_on(self, claimed: Claim) -> None:
        """What came of it is recorded, and it is done with: the next of its line may go."""
        line = self._lines[claimed.webhook.id]
        if line:
            self._wait(line.popleft())
        else:
            del self._lines[claimed.webhook.id]

    def stop(self, claimed: Claim) -> list[Claim]:
        """It is not done with: those behind it, which may not go."""
        return list(self._lines.pop(claimed.webhook.id))

    def suspects(self) -> dict[str, str]:
        """Webhooks that are slow, since they have not answered yet, each once; with the type of what they got."""
        limit = self._clock() - settings().limits.slow_after_ms / 1000
        long = takewhile(lambda one: one[1] < limit, self._under_way.values())
        found = {one.webhook.id: one.event.type for one, _ in long if one.webhook.id not in self._suspected}
        self._suspected |= found.keys()
        return found

    def withdraw(self, webhook_ids: Collection[str]) -> list[Claim]:
        """The claims of these webhooks that are still waiting: they are not sent from here. Lines stay."""
        withdrawn: list[Claim] = []
        for host, line in list(self._waiting.items()):
            withdrawn += [one for one in line if _goes(one, webhook_ids)]
            stays = deque(one for one in line if not _goes(one, webhook_ids))
            if stays:
                self._waiting[host] = stays
            else:
                del self._waiting[host]
        return withdrawn

    def _clock(self) -> float:
        """In seconds; it stands still while nobody listens."""
        return time.monotonic() - self._deaf

    def _wait(self, claimed: Claim) -> None:
        self._waiting.setdefault(self._hosts[claimed.webhook.id], deque()).append(claimed)

    def _begin(self, claimed: Claim) -> Request | None:
        webhook = self._opened[claimed.webhook.id]
        if webhook is None or self._too_late_for(claimed):
            self.late.append(claimed)
            self.late += self._lines.pop(claimed.webhook.id, ())
            return None
        self._under_way[claimed.id] = (claimed, self._clock())
        self._at_hosts[self._hosts[claimed.webhook.id]] += 1
        return request(claimed, webhook, int(time.time()))

    def _next(self) -> Claim | None:
        """The first waiting claim of the first host that has room; the host then stands at the end of the line."""
        host = next((host for host in self._waiting if self._at_hosts[host] < PER_HOST), None)
        if host is None:
            return None
        line = self._waiting.pop(host)
        claimed = line.popleft()
        if line:
            self._waiting[host] = line
        return claimed

    def _is_idle(self) -> bool:
        """Whether there is only waiting to be done, for something that will take its time."""
        if not self._under_way or sum(map(len, self._waiting.values())) > MOST_WAITING:
            return False
        oldest = next(iter(self._under_way.values()))[1]  # in the order in which they were started
        return self._clock() - oldest > IDLE_AFTER_SECONDS

    def _too_late_for(self, claimed: Claim) -> bool:
        needed = claimed.webhook.timeout_seconds * 1000 + LAST_START_MARGIN_MS
        return self._context.get_remaining_time_in_millis() < needed


def _goes(claimed: Claim, webhook_ids: Collection[str]) -> bool:
    return claimed.webhook.id in webhook_ids and not claimed.webhook.strict
