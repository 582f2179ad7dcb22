"""Whether the service is up, and how its parts are doing."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

Status = Annotated[
    Literal["healthy", "degraded", "unhealthy"],
    Field(description="`degraded` wants looking after; `unhealthy`: events are not taken, or not delivered"),
]


class Health(BaseModel):
    status: Literal["healthy", "unhealthy"]


class Check(BaseModel):
    """How one part is doing."""

    name: Annotated[str, Field(examples=["dispatcher"])]
    status: Status
    message: Annotated[str, Field(examples=["dispatch last ran 21 seconds ago"])]
    duration_ms: Annotated[float, Field(description="How long it took to find that out", examples=[1.4])]
    figures: Annotated[
        dict[str, Any], Field(description="What there is to measure of it", examples=[{"age_seconds": 21}])
    ]


class HealthReport(BaseModel):
    status: Status
    reasons: Annotated[
        list[str],
        Field(
            description="Why it is not healthy, by the names of checks",
            examples=[["partitions: audit_log reaches 5.1 days ahead, the others further"]],
        ),
    ]
    version: Annotated[str, Field(description="This release's", examples=["0.1.0"])]
    checked_at: datetime
    checks: list[Check]
