"""What senders told of: changes that changedetection.io reported, and the crawls of Firecrawl."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

RescrapeStatus = Literal["queued", "in_progress", "completed", "failed"]


class ChangeEvent(BaseModel):
    id: str
    source_id: str
    event_id: Annotated[str, Field(description="The event that it became, which goes to the archive sooner")]
    watch_id: Annotated[str, Field(examples=["6a4b7e38-5a7e-4d2c-9a0e-3f1c2b7d8e90"])]
    watch_url: Annotated[str, Field(examples=["https://example.com/pricing"])]
    detected_at: Annotated[
        datetime, Field(description="When the sender saw it; when we were told, where it does not say")
    ]
    diff_summary: Annotated[
        str | None,
        Field(
            description="The beginning of the diff, 2,000 characters; null once the event is erased",
            examples=["(changed) $49\n(into) $59"],
        ),
    ]
    snapshot_url: Annotated[str | None, Field(examples=["https://changes.example.com/preview/6a4b7e38"])]
    metadata: Annotated[
        dict[str, Any],
        Field(
            description="The watch's title and tags, the page of the diff, the text that triggered it",
            examples=[{"watch_title": "Pricing", "watch_tag": "competitors"}],
        ),
    ]
    rescrape_status: Annotated[
        RescrapeStatus | None, Field(description="Null where it was never asked for", examples=["completed"])
    ]
    rescrape_job_id: str | None = Field(examples=["01a1f8e0-9b58-7f26-819b-160de59a8144"])
    rescrape_attempts: int
    rescrape_error: Annotated[str | None, Field(description="Why the last attempt failed", examples=[None])]
    rescrape_started_at: datetime | None
    rescrape_finished_at: datetime | None
    indexed_at: Annotated[datetime | None, Field(description="When the document of its rescrape was stored")]
    document_bytes: Annotated[int | None, Field(examples=[18_204])]
    document_event_id: Annotated[
        str | None,
        Field(
            description="The event that told of the document", examples=["01a1f8e0-9b58-7f26-819b-160de59a8144"]
        ),
    ]
    created_at: datetime


class CrawlSession(BaseModel):
    id: str
    source_id: str
    job_id: Annotated[
        str,
        Field(
            description="Firecrawl's id of the job",
            max_length=255,
            examples=["550e8400-e29b-41d4-a716-446655440000"],
        ),
    ]
    kind: Literal["crawl", "batch_scrape"]
    status: Annotated[Literal["in_progress", "completed", "failed", "cancelled"], Field(examples=["completed"])]
    base_url: Annotated[str | None, Field(examples=["https://docs.example.com"])]
    success: bool | None
    error: str | None
    started_at: Annotated[datetime | None, Field(description="When we were told that it started")]
    first_page_at: datetime | None
    last_page_at: datetime | None
    completed_at: Annotated[datetime | None, Field(description="When we were told that it ended")]
    duration_ms: Annotated[
        int | None,
        Field(description="From the first that came of it to its end, by our clock", examples=[184_250]),
    ]
    pages_total: Annotated[int | None, Field(description="What the job itself says, if it does", examples=[None])]
    pages_received: Annotated[int, Field(description="Each page once, however often it came", examples=[120])]
    pages_succeeded: Annotated[int, Field(examples=[118])]
    pages_failed: Annotated[
        int, Field(description="Not scraped, or answered with a status of 400 or more", examples=[2])
    ]
    bytes_received: Annotated[
        int, Field(description="Of the messages that its pages came in", examples=[1_482_113])
    ]
    credits_used: Annotated[int, Field(description="What its pages say that they cost", examples=[120])]
    metadata: Annotated[
        dict[str, Any],
        Field(description="What the webhook of the job was given to send along", examples=[{"team": "docs"}]),
    ]
    received_at: Annotated[datetime, Field(description="When anything about it came last")]
    created_at: datetime
