"""Receivers that wait for a message: woken when one becomes visible, never polling."""

import asyncio
from collections import deque

from local.sqs.broker import Broker

Receiver = asyncio.Future[bool]


class LongPolling:
    """The waiting receivers of every queue, in the order they came.

    One wake-up per visible message. A receiver that is woken and finds the message taken by another waits
    again. While somebody waits at a queue, a timer runs for that queue's next hidden message.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._waiting: dict[str, deque[Receiver]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._closed = False
        broker.on_visible = self._wake
        broker.on_hidden = self._watch

    async def wait(self, queue_name: str, timeout: float) -> bool:
        """Whether a message may have become visible within `timeout` s; False when the time is over."""
        if self._closed or timeout <= 0:
            return False
        loop = asyncio.get_running_loop()
        receiver: Receiver = loop.create_future()
        expiry = loop.call_later(timeout, _settle, receiver, False)
        self._waiting.setdefault(queue_name, deque()).append(receiver)
        self._watch(queue_name)
        try:
            return await receiver
        except asyncio.CancelledError:
            if not receiver.cancelled() and receiver.result():
                self._wake(queue_name)  # the message was for somebody who has gone
            raise
        finally:
            expiry.cancel()
            self._forget(queue_name, receiver)

    def close(self) -> None:
        """Send all receivers home with nothing."""
        self._closed = True
        for waiting in self._waiting.values():
            for receiver in waiting:
                _settle(receiver, False)

    def _wake(self, queue_name: str) -> None:
        """Let the receiver that has waited longest try again, or all of them if the queue has gone."""
        waiting = self._waiting.get(queue_name)
        while waiting:
            if _settle(waiting.popleft(), True) and queue_name in self._broker.queues:
                return

    def _watch(self, queue_name: str) -> None:
        """Set the timer for the queue's next hidden message, if anybody waits for it."""
        queue = self._broker.queues.get(queue_name)
        if queue is None or not self._waiting.get(queue_name):
            return
        if (due := queue.next_visible_at()) is None:
            return
        loop = asyncio.get_running_loop()
        when = loop.time() + (due - self._broker.clock()) / 1000
        timer = self._timers.get(queue_name)
        if timer is not None and timer.when() <= when:
            return
        if timer is not None:
            timer.cancel()
        self._timers[queue_name] = loop.call_at(when, self._fall_due, queue_name)

    def _fall_due(self, queue_name: str) -> None:
        del self._timers[queue_name]
        if (queue := self._broker.queues.get(queue_name)) is not None:
            self._broker.advance(queue)  # which wakes one receiver per message
            self._watch(queue_name)

    def _forget(self, queue_name: str, receiver: Receiver) -> None:
        waiting = self._waiting.get(queue_name)
        if waiting is None:  # the last of several that were woken together has been here
            return
        if receiver in waiting:
            waiting.remove(receiver)
        if not waiting:
            del self._waiting[queue_name]
            if (timer := self._timers.pop(queue_name, None)) is not None:
                timer.cancel()


def _settle(receiver: Receiver, woken: bool) -> bool:
    """Whether the receiver was still waiting."""
    if receiver.done():
        return False
    receiver.set_result(woken)
    return True
