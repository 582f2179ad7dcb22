"""The OpenAPI document and the page that shows it."""

from functools import cache

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer, License, Server, Tag

from functions import VERSION
from functions.api.rendering import answer

DESCRIPTION = """Webhook delivery from your own AWS account.

Send `Authorization: Bearer <key>`. Lists are newest first, take `limit` and `cursor`, and answer
`{"data": […], "next_cursor": "…" | null}`. Errors are `{"error": {"code", "message", "details", "request_id"}}`.
Creating calls take an `Idempotency-Key` header: the same key and body answer alike for 24 hours."""
TAGS = {
    "events": "What happened: stored once, delivered to every webhook that wants it.",
    "webhooks": "Endpoints that events are delivered to.",
    "subscriptions": "Which event types a webhook gets.",
    "deliveries": "One event to one webhook, and every attempt that was made.",
    "projects": "Accounts and their API keys; these calls take the admin key.",
    "health": "Whether the service is up.",
}
KEY = HTTPBearer(scheme="bearer", description="A project's API key, or the admin key where that is said")


def describe(app: APIGatewayHttpResolver) -> None:
    """Give the resolver's routes their document at /openapi.json and the page that shows it at /docs."""
    app.configure_openapi(
        title="Hookline",
        version=VERSION,
        openapi_version="3.1.0",
        description=DESCRIPTION,
        license_info=License(name="Apache-2.0", identifier="Apache-2.0"),
        servers=[Server(url="/")],
        tags=[Tag(name=name, description=description) for name, description in TAGS.items()],
        security_schemes={"api_key": KEY},
    )
    app.enable_swagger(path="/docs")
    document = cache(app.get_openapi_json_schema)

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response[str]:
        return answer(200, document())
