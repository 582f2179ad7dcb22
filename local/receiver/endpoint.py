"""One endpoint: verifies with a library that is not ours, and remembers what came."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from standardwebhooks import Webhook, WebhookVerificationError

from local.receiver.behaviour import Behaviour

SIGNED_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
REASONS_KEPT = 5


@dataclass(slots=True)
class Receipt:
    """What came of one event here. Times are ns of the monotonic clock, which a machine's processes share."""

    first_ns: int  # when its first request had arrived whole, whatever it was answered
    number: int  # of the endpoint's events, from 1
    accepted_ns: int | None = None
    accepted: int = 0  # above 1 are duplicates
    refused: int = 0  # on purpose, by the endpoint's behaviour


@dataclass
class Counts:
    """Since the endpoint was registered. `requests` = accepted + duplicates + refused + bad_signatures."""

    requests: int = 0
    events: int = 0
    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    bad_signatures: int = 0
    forgotten: int = 0  # events beyond what is remembered; a later duplicate of one counts as a new event
    verify_ns: int = 0
    bad_signature_reasons: deque[str] = field(default_factory=lambda: deque(maxlen=REASONS_KEPT))


class Endpoint:
    """Remembers the last `remember` events, so memory is bounded however long it runs."""

    def __init__(self, secret: str, behaviour: Behaviour, *, remember: int) -> None:
        """Raises ValueError or EmptyWebhookSecretError if `standardwebhooks` does not take `secret`."""
        self._webhook = Webhook(secret)
        self._remember = remember
        self.behaviour = behaviour
        self.counts = Counts()
        self.receipts: dict[str, Receipt] = {}

    def receive(self, headers: Mapping[str, str], body: bytes, at_ns: int) -> int:
        """The status to answer; `at_ns` is when the request had arrived whole."""
        self.counts.requests += 1
        if not self._is_genuine(headers, body):
            return HTTPStatus.UNAUTHORIZED
        receipt = self._receipt(headers["webhook-id"], at_ns)
        first = receipt.refused == 0 and receipt.accepted == 0
        if self.behaviour.refuses(event_number=receipt.number, first_attempt=first):
            receipt.refused += 1
            self.counts.refused += 1
            return self.behaviour.status
        self._accept(receipt, at_ns)
        return HTTPStatus.OK

    def _is_genuine(self, headers: Mapping[str, str], body: bytes) -> bool:
        began = time.perf_counter_ns()
        try:
            self._webhook.verify(body, {name: headers.get(name, "") for name in SIGNED_HEADERS}, json_parse=False)
        except (WebhookVerificationError, ValueError) as error:  # ValueError: not UTF-8, or no base64
            self.counts.bad_signatures += 1
            self.counts.bad_signature_reasons.append(str(error))
            return False
        finally:
            self.counts.verify_ns += time.perf_counter_ns() - began
        return True

    def _receipt(self, event_id: str, at_ns: int) -> Receipt:
        known = self.receipts.get(event_id)
        if known is not None:
            return known
        self.counts.events += 1
        made = self.receipts[event_id] = Receipt(at_ns, self.counts.events)
        if len(self.receipts) > self._remember:
            del self.receipts[next(iter(self.receipts))]
            self.counts.forgotten += 1
        return made

    def _accept(self, receipt: Receipt, at_ns: int) -> None:
        receipt.accepted += 1
        if receipt.accepted > 1:
            self.counts.duplicates += 1
            return
        receipt.accepted_ns = at_ns
        self.counts.accepted += 1
