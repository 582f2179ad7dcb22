"""Hookline's own metrics."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field


class RequestMetric(BaseModel):
    id: str
    timestamp: Annotated[datetime, Field(description="When the request came")]
    method: Annotated[str, Field(examples=["POST"])]
    path: Annotated[
        str,
        Field(description="The route; `(unknown)` where there is none", examples=["/v1/events/{event_id}"]),
    ]
    status_code: Annotated[int, Field(examples=[202])]
    duration_ms: Annotated[float, Field(description="In the function, without the gateway", examples=[4.21])]
    request_id: str
    client_ip: Annotated[str | None, Field(examples=["203.0.113.9"])]
    user_agent: Annotated[str | None, Field(examples=["billing/2.3"])]
    project_id: Annotated[str | None, Field(description="Null where no project's key was used")]


class OperationMetric(BaseModel):
    id: str
    timestamp: Annotated[datetime, Field(description="When it began")]
    operation_type: Annotated[str, Field(examples=["ingest"])]
    operation_name: Annotated[str, Field(examples=["ingest.events"])]
    duration_ms: Annotated[
        float, Field(description="Of `query` the mean of those of one process in one minute", examples=[3.07])
    ]
    success: bool
    error_message: Annotated[str | None, Field(description="The kind of what went wrong", examples=[None])]
    request_id: Annotated[str | None, Field(description="The request, or the invocation, that it was part of")]
    job_id: Annotated[str | None, Field(description="The background job", examples=[None])]
    document_url: Annotated[
        str | None,
        Field(
            description="What was fetched, without its query string",
            examples=[None],
            json_schema_extra={"format": "uri"},
        ),
    ]
    project_id: str | None
    extra_metadata: Annotated[
        dict[str, Any] | None,
        Field(
            description="The function, and how much was dealt with; of `query` the figures of all of its calls",
            examples=[{"function": "api", "events": 1, "deliveries": 3}],
        ),
    ]


class SummaryRow(BaseModel):
    bucket: Annotated[datetime | None, Field(description="When the bucket begins; null without `bucket`")]
    group: Annotated[str | None, Field(description="Null without `group_by`", examples=["/v1/events"])]
    count: Annotated[int, Field(examples=[1200])]
    success_rate: Annotated[float, Field(description="0 to 1", examples=[0.9992])]
    avg_ms: Annotated[float, Field(examples=[4.4])]
    p50_ms: Annotated[float, Field(examples=[3.9])]
    p95_ms: Annotated[float, Field(examples=[8.2])]
    p99_ms: Annotated[float, Field(examples=[14.1])]
    max_ms: Annotated[float, Field(examples=[61.5])]


Group = TypeVar("Group")


class Summary(BaseModel, Generic[Group]):
    """`complete` is false where there are more rows than are read: then only what is from `covered_from` on."""

    created_after: datetime
    created_before: datetime
    bucket: Literal["1m", "1h", "1d"] | None
    group_by: Group | None
    complete: Annotated[bool, Field(examples=[True])]
    covered_from: Annotated[datetime | None, Field(description="When the first row was that was read")]
    cached_at: Annotated[datetime, Field(description="When this was made: it is kept for some seconds")]
    data: list[SummaryRow]


class RequestSummary(Summary[Literal["path", "method", "status_class"]]):
    pass


class OperationSummary(Summary[Literal["operation_type", "operation_name"]]):
    pass
