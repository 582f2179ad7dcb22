"""The OpenAPI document, and the page that shows it."""

import json
from functools import cache

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from functions import VERSION
from functions.api.rendering import answer

DESCRIPTION = """Webhook delivery from your own AWS account.

Send `Authorization: Bearer <key>`. Lists are newest first, take `limit` and `cursor`, and answer
`{"data": […], "next_cursor": "…" | null}`. Errors are `{"error": {"code", "message", "details", "request_id"}}`;
a few come from the gateway before any function is asked, as `{"message"}`. Every POST takes an `Idempotency-Key`:
the same key and body answer alike for 24 hours. What has an `ETag` can be changed under `If-Match`. Answers may
gain fields."""
TAGS = {
    "events": "What happened: stored once, delivered to every webhook that wants it.",
    "event types": "The names of what may happen, with the JSON Schemas of their data.",
    "webhooks": "Endpoints that events are delivered to.",
    "subscriptions": "Which event types a webhook gets.",
    "sources": "Senders that post to Hookline, and what becomes of what they post.",
    "applications": "The project's own customers, whose events and webhooks stay apart.",
    "deliveries": "One event to one webhook, and every attempt that was made.",
    "dead letters": "Deliveries that ran out of attempts, waiting for a person.",
    "change events": "What changedetection.io reported, with what became of scraping it again.",
    "crawl sessions": "The lives and totals of Firecrawl's crawls and batch scrapes.",
    "statistics": "How deliveries and endpoints fare, by window and bucket.",
    "jobs": "What takes longer than a request, and how far it is.",
    "audit log": "Every change made through this API: who, what, before and after.",
    "projects": "Accounts and their API keys; these calls take the admin key.",
    "metrics": "Every request to this API and what Hookline did, with how long it took; and both added up.",
    "health": "Whether the service is up, and how it and its database are doing.",
}


def describe(app: APIGatewayHttpResolver) -> None:
    """Serve the document of the resolver's routes at /openapi.json, and the page that shows it at /docs."""
    document = cache(lambda: written(app))

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response[str]:
        return answer(200, document())

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response[str]:
        from functions.api.openapi import page  # noqa: PLC0415 - only for who asks

        return page.page()

    @app.get("/docs/<file>", include_in_schema=False)
    def docs_file(file: str) -> Response[str]:
        from functions.api.openapi import page  # noqa: PLC0415

        return page.part(file)


def written(app: APIGatewayHttpResolver) -> str:
    """The document as JSON text."""
    from aws_lambda_powertools.event_handler.openapi.models import (  # noqa: PLC0415
        HTTPBearer,
        License,
        Server,
        Tag,
    )

    from functions.api.openapi.finish import finish  # noqa: PLC0415

    read = app.get_openapi_json_schema(
        title="Hookline",
        version=VERSION,
        openapi_version="3.1.0",
        description=DESCRIPTION,
        license_info=License(name="Apache-2.0", identifier="Apache-2.0"),
        servers=[Server(url="/")],
        tags=[Tag(name=name, description=description) for name, description in TAGS.items()],
        security_schemes={"api_key": HTTPBearer(scheme="bearer"), "admin_key": HTTPBearer(scheme="bearer")},
    )
    return json.dumps(finish(json.loads(read)), ensure_ascii=False, separators=(",", ":"))
