"""Delivery statistics. docs/statistics.md says what each figure means."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from functions.api.schemas.base import Page
from functions.domain.log_buckets import ERROR

Rate = Annotated[float | None, Field(ge=0, le=1)]
Milliseconds = Annotated[float | None, Field(ge=0)]


class Outcomes(BaseModel):
    """How many attempts came to what. Each is in exactly one of them."""

    succeeded: Annotated[int, Field(description="2xx")]
    redirected: Annotated[int, Field(description="3xx: redirects are not followed")]
    rejected: Annotated[int, Field(description="4xx, but for 429")]
    throttled: Annotated[int, Field(description="429")]
    server_error: Annotated[int, Field(description="5xx")]
    timed_out: Annotated[int, Field(description="no whole response within the webhook's timeout")]
    dns_error: int
    connection_error: Annotated[int, Field(description="no connection, or it was closed or broken")]
    tls_error: int
    invalid_response: Annotated[int, Field(description="not HTTP, of no known status class, or too large headers")]
    refused: Annotated[int, Field(description="not sent: the address may not be delivered to")]
    other: int


class DeliveryFigures(BaseModel):
    """Deliveries that were done with. Those that ended because their webhook was deleted, or their payload erased,
    are in none of them.
    """

    delivered: int
    failed: Annotated[int, Field(description="that left a dead letter; again if it failed again after a redrive")]
    success_rate: Annotated[Rate, Field(description="of those that were done with; null if there were none")]


class ResponseTime(BaseModel):
    """Of the attempts that were answered with a whole response: those with a status class of 2xx to 5xx."""

    count: int
    average: Milliseconds
    longest: Milliseconds
    p50: Milliseconds
    p95: Milliseconds
    p99: Milliseconds


class Figures(BaseModel):
    attempts: int
    outcomes: Outcomes
    success_rate: Annotated[Rate, Field(description="succeeded, of all attempts; null if there were none")]
    availability: Annotated[
        Rate,
        Field(
            description="attempts that were answered with anything but 5xx, of all that were not `refused`; null"
            " if there were none"
        ),
    ]
    retries: Annotated[int, Field(description="attempts that were not their delivery's first")]
    first_attempt_success_rate: Annotated[Rate, Field(description="succeeded, of those that were the first")]
    deliveries: DeliveryFigures
    response_time_ms: ResponseTime


class Bucket(Figures):
    start: datetime


class Spanned(BaseModel):
    """What all figures say of themselves."""

    from_: Annotated[datetime, Field(alias="from", description="Where the first bucket begins")]
    to: Annotated[datetime, Field(description="Where the last bucket ends, which may be to come")]
    until: Annotated[
        datetime | None,
        Field(description="What ended before that is counted, usually two to three minutes ago; null at first"),
    ]
    percentile_error: Annotated[
        float, Field(examples=[ERROR], description="By this share a percentile is off at most")
    ]


class Statistics(Spanned):
    bucket: Annotated[str | None, Field(examples=["1h"], description="How long each is; null with `none`")]
    totals: Figures
    data: Annotated[
        list[Bucket], Field(description="Every bucket of the range, oldest first, those with nothing among them")
    ]


class EndpointFigures(Figures):
    id: Annotated[str, Field(description="The webhook's")]
    name: str
    url: str
    status: str
    application_id: str | None


class EndpointStatistics(Page[EndpointFigures], Spanned):
    window: Annotated[str, Field(examples=["24h"])]
    ranked_until: Annotated[
        datetime | None, Field(description="The order is by what had ended before that; null at first")
    ]
