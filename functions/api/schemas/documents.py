"""Documents: what rescrapes brought, kept as files."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field


class Document(BaseModel):
    change_event_id: str
    job_id: Annotated[str, Field(description="The rescrape that brought it")]
    bytes: Annotated[int, Field(examples=[41237])]
    url: Annotated[
        str,
        Field(
            description="Whoever has it can read the document: JSON, Firecrawl's `data` whole",
            examples=[
                "https://documents.s3.eu-central-1.amazonaws.com/documents/01a1.json?X-Amz-Signature=9f86d081"
            ],
        ),
    ]
    expires_at: Annotated[datetime, Field(description="Until then at most; ask again for another")]
