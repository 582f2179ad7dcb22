"""Background jobs, and what a dry run says instead of starting one."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from functions.domain.jobs import Kind, Status


class Job(BaseModel):
    id: str
    kind: Kind
    status: Status
    total: Annotated[int, Field(description="How many there were to look at when it was started")]
    processed: Annotated[int, Field(description="How many were looked at so far")]
    changed: Annotated[int, Field(description="How many of them were changed; the others had moved on meanwhile")]
    parameters: Annotated[dict[str, Any], Field(description="What it was started with, defaults filled in")]
    error: Annotated[str | None, Field(description="Why it failed")]
    created_at: datetime
    created_by: Annotated[str | None, Field(description="The id of the API key; null for the admin key")]
    started_at: datetime | None
    finished_at: datetime | None


class DryRun(BaseModel):
    dry_run: Literal[True]
    matched: Annotated[int, Field(description="How many the same call without `dry_run` would look at now")]
