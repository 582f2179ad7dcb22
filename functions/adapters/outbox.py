"""The queue messages of rows, sent after the commit (P8). Where one is not sent, dispatch finds its row."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from functions.adapters import queues
from functions.adapters.queues import Message
from functions.domain import messages
from functions.domain.rescraping import Start


@dataclass(frozen=True)
class Follow:
    """A row whose message is to be sent: of a delivery, most often."""

    id: str
    token: int
    project_id: str
    delay_seconds: int = 0


def send(queue_url: str, follows: Iterable[Follow]) -> None:
    """Those due in the same second to the same project share messages."""
    queues.send(queue_url, _packed(follows))


def send_dead(queue_url: str, letters: Iterable[Follow]) -> None:
    """The messages of dead letters, each of its own: only such can be redriven."""
    queues.send(
        queue_url,
        (Message(messages.dead(messages.DeadLetter(one.id, one.token)), one.project_id) for one in letters),
        once=True,  # a second copy would be taken for the first one redriven
    )


def send_rescrapes(queue_url: str, starts: Iterable[Start | Follow | None]) -> None:
    """One message each; there is nothing to do for None."""
    queues.send(
        queue_url,
        [
            Message(messages.rescrape(messages.Rescrape(one.id, one.token)), one.project_id, one.delay_seconds)
            for one in starts
            if one is not None
        ],
    )


def _packed(follows: Iterable[Follow]) -> Iterator[Message]:
    together: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for follow in follows:
        together.setdefault((follow.project_id, follow.delay_seconds), []).append((follow.id, follow.token))
    for (project_id, delay), deliveries in together.items():
        for body in messages.pack(deliveries):
            yield Message(body, project_id, delay)
