"""Whether a subscription would match a sample event, and in plain words why not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from functions.domain import filters
from functions.domain.filters import Reason

# What explaining filters to one request may cost: filters times values in the sample, so that a sample as large as
# an event may be, held against as many filters as a page has, cannot take the function's time.
MAX_EFFORT = 100_000
UNEXPLAINED = "does not match the filter; ask for this webhook alone to be told why"


@dataclass(frozen=True)
class Sample:
    """An event as it would be sent: numbers of its data exact, the application by its key."""

    type: str
    data: Any
    application_id: str | None
    environment: str | None


@dataclass(frozen=True)
class Verdict:
    """A subscription with what the database says of each thing that it must agree with the sample in."""

    event_type: str
    filter: dict[str, Any] | None
    webhook_status: str
    webhook_application_id: str | None
    webhook_environment: str | None
    type_agrees: bool
    enabled: bool
    receives: bool
    application_agrees: bool
    environment_agrees: bool
    filter_agrees: bool


def reasons(verdict: Verdict, sample: Sample, *, explained: bool = True) -> list[Reason]:
    """Why the subscription does not match: empty when it does. Paths are the sample's own, or say whose."""
    found = [*_of_configuration(verdict, sample)]
    if verdict.filter_agrees or verdict.filter is None:
        return found
    if not explained:
        return [*found, Reason("data", UNEXPLAINED)]
    return [*found, *of_data(verdict.filter, sample.data)]


def of_data(filter: dict[str, Any], data: Any) -> list[Reason]:
    """Why the data does not match, with paths from the event's top (`data.amount`)."""
    return [Reason(f"data.{one.path}".rstrip("."), one.message) for one in filters.explain(filter, data)]


def explainable(data: Any) -> int:
    """How many filters may be explained against this data; at least one."""
    return max(1, MAX_EFFORT // _count(data))


def _of_configuration(verdict: Verdict, sample: Sample) -> Iterator[Reason]:
    if not verdict.type_agrees:
        yield Reason("type", f"{sample.type} is not matched by {verdict.event_type}")
    if not verdict.enabled:
        yield Reason("subscription.enabled", "the subscription is not enabled")
    if not verdict.receives:
        yield Reason("webhook.status", f"the webhook is {verdict.webhook_status} and gets no deliveries")
    if not verdict.application_agrees:
        belongs = f"to {sample.application_id}" if sample.application_id else "to no application"
        bound = f"the webhook is bound to the application {verdict.webhook_application_id}"
        yield Reason("application_id", f"{bound}, the event belongs {belongs}")
    if not verdict.environment_agrees:
        has = sample.environment or "none"
        yield Reason("environment", f"the webhook wants {verdict.webhook_environment}, the event has {has}")


def _count(data: Any) -> int:
    """The values in the data, itself and those within it."""
    found, left = 0, [data]
    while left:
        value = left.pop()
        found += 1
        if isinstance(value, (dict, list)):
            left.extend(value.values() if isinstance(value, dict) else value)
    return found
