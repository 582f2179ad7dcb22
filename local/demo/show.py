"""The demo from beginning to end."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
from rich.console import Console

from local.demo import examples, webhooks
from local.demo.api import Api
from local.demo.first_event import send_first
from local.demo.score import Progress, score
from local.demo.screen import Show, screen, table
from local.demo.stack import Stack
from local.demo.tour import tour
from local.demo.traffic import Traffic
from local.demo.verdict import verdict
from local.receiver.client import ReceiverClient, started

REQUEST_SECONDS = aiohttp.ClientTimeout(total=30)
LOOK_SECONDS = 0.2
CLOCK_SKEW = timedelta(seconds=5)  # the database's clock may not be this machine's


async def show(stack: Stack, console: Console, *, patience_seconds: float) -> bool:
    """Send, watch, and say how it went; returns whether everything arrived.

    After the last event was sent it waits at most `patience_seconds`. Raises ExamplesError, ApiError,
    NotArrivedError, ReceiverError or aiohttp.ClientError.
    """
    payloads = await asyncio.to_thread(examples.load)
    async with aiohttp.ClientSession(timeout=REQUEST_SECONDS) as session, _receiver(stack, session) as receiver:
        api = Api(session, stack.api_url, stack.api_key)
        ready = await webhooks.prepare(api, receiver)
        traffic = Traffic(api, payloads, first=webhooks.FLAKY.pattern.removesuffix("*"))
        first_seconds = await send_first(api, receiver, ready[0])
        console.print(_opening(payloads, ready, first_seconds), soft_wrap=True, highlight=False)
        since = datetime.now(UTC) - CLOCK_SKEW
        with screen(console) as update:
            progress = await _watch(traffic, ready, receiver, update, patience_seconds)
        if not console.is_terminal:
            console.print(table(progress))
        judged = await verdict(api, progress.scores, traffic.sent, since)
    console.print(_ending(progress, judged.complaints), soft_wrap=True, highlight=False, markup=False)
    flaky = next(webhook for webhook in ready if webhook.plan is webhooks.FLAKY)
    console.print(
        tour(stack, flaky, judged.retried, receiver_stays=stack.receiver_url is not None),
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
    return not judged.complaints


@asynccontextmanager
async def _receiver(stack: Stack, session: aiohttp.ClientSession) -> AsyncIterator[ReceiverClient]:
    """The service's own, which goes on afterwards, or one for as long as the demo runs."""
    if stack.receiver_url is not None:
        yield ReceiverClient(session, stack.receiver_url)
        return
    async with started() as (url, *_):
        yield ReceiverClient(session, url)


async def _watch(
    traffic: Traffic,
    ready: list[webhooks.Webhook],
    receiver: ReceiverClient,
    update: Show,
    patience_seconds: float,
) -> Progress:
    """Until everything has arrived, or patience is at its end."""
    sending = asyncio.create_task(traffic.send())
    patience_ends: float | None = None
    try:
        while True:
            everything_sent = sending.done()
            progress = await _look(traffic, ready, receiver)
            update(progress)
            if everything_sent:
                await sending
                patience_ends = patience_ends or time.monotonic() + patience_seconds
                if progress.is_complete or time.monotonic() > patience_ends:
                    return progress
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        sending.cancel()


async def _look(traffic: Traffic, ready: list[webhooks.Webhook], receiver: ReceiverClient) -> Progress:
    stats = (await receiver.stats())["endpoints"]
    scores = [
        score(
            webhook,
            traffic.sent,
            await receiver.receipts(webhook.plan.endpoint),
            bad_signatures=stats[webhook.plan.endpoint]["bad_signatures"],
        )
        for webhook in ready
    ]
    return Progress(len(traffic.sent), len(traffic.examples), tuple(scores))


def _opening(payloads: list[examples.Example], ready: list[webhooks.Webhook], first_seconds: float) -> str:
    types = len({payload.type for payload in payloads})
    names = ", ".join(f"{webhook.plan.endpoint} ({webhook.plan.pattern})" for webhook in ready)
    every = webhooks.FLAKY.behaviour["every"]
    return (
        f"A first event arrived after {first_seconds * 1000:.0f} ms.\n"
        f"Sending {len(payloads)} real GitHub payloads of {types} types to the webhooks {names}.\n"
        f"The endpoint of “{webhooks.FLAKY.endpoint}” refuses every {every}th event once;"
        " the retry comes 5 to 10 s later.\n"
    )


def _ending(progress: Progress, complaints: list[str]) -> str:
    if complaints:
        return "\n".join(["", "Not everything went as it should:", *(f"  {one}" for one in complaints), ""])
    delivered, verified, retried = (
        progress.sum(lambda one: one.delivered),
        progress.sum(lambda one: one.verified),
        progress.sum(lambda one: one.retried),
    )
    return (
        f"\nAll {delivered} deliveries of {progress.sent} events arrived, {retried} of them at the second attempt."
        f" The package standardwebhooks verified all {verified} signatures.\n"
    )
