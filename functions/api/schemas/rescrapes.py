"""Rescrapes: when and how what changed is scraped again, by whose account at Firecrawl, and one of them."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, StrictBool, StrictInt, StrictStr

from functions.api.schemas.base import Input, distinct
from functions.domain import urls
from functions.domain.rescraping import Format, Policy


def _base(value: str) -> str:
    return urls.stored(value).rstrip("/")


class RescrapePolicy(Input):
    """Each change that is reported is scraped again while `enabled`; by the API at any time."""

    enabled: StrictBool = Policy.enabled
    api_url: Annotated[
        StrictStr,
        AfterValidator(_base),
        Field(max_length=2048, description="Firecrawl's, or a server of your own that speaks its API"),
    ] = Policy.api_url
    concurrency: Annotated[StrictInt, Field(ge=1, le=50, description="Calls at a time for this source")] = (
        Policy.concurrency
    )
    max_attempts: Annotated[StrictInt, Field(ge=1, le=10)] = Policy.max_attempts
    formats: Annotated[list[Format], Field(min_length=1, max_length=5), AfterValidator(distinct)] = Field(
        default=list(Policy.formats)
    )


class Credentials(Input):
    """What the source's rescrapes are paid by. Never shown again."""

    api_key: Annotated[StrictStr, Field(pattern=r"^[!-~]+$", min_length=1, max_length=1024, examples=["fc-1234"])]


class Rescrape(BaseModel):
    change_event_id: Annotated[str, Field(description="Its `rescrape_…` fields tell how it goes on")]
    job_id: Annotated[
        str,
        Field(
            description="The event `document.rescraped` has it as its `id`, or, published more than a day later,"
            " as its `external_id`"
        ),
    ]
    status: Literal["queued"]
