"""What may be answered: headers, and every error with an example."""

from typing import Any

from functions.api.operation import ERRORS

PROBLEM = {"$ref": "#/components/schemas/Problem"}
# The gateway answers some itself, in its own shape: without an Authorization header no function is asked.
PROBLEM_OR_REFUSAL = {"anyOf": [PROBLEM, {"$ref": "#/components/schemas/Refusal"}]}
REFUSAL = {"$ref": "#/components/schemas/Refusal"}
REFUSED = {
    "type": "object",
    "description": "What the gateway answers when it asked no function",
    "properties": {"message": {"type": "string", "examples": ["Too Many Requests"]}},
    "required": ["message"],
}
CORRELATION = "hookline-correlation-id"
HEADERS: dict[str, Any] = {
    "Allow": {
        "description": "The methods that the path has",
        "required": True,
        "schema": {"type": "string"},
        "example": "GET, HEAD, OPTIONS, POST",
    },
    "CorrelationId": {
        "description": "The request's `hookline-correlation-id`, or the request's id where none was sent",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        "example": "checkout-7781",
    },
    "ETag": {
        "description": "The version of what is answered, for `If-Match`",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
        "example": '"3"',
    },
    "IdempotencyReplayed": {
        "description": "There when this is the first answer again, because the `Idempotency-Key` was used before",
        "schema": {"type": "string", "enum": ["true"]},
        "example": "true",
    },
}
NAMES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    412: "PreconditionFailed",
    413: "PayloadTooLarge",
    415: "UnsupportedMediaType",
    422: "InvalidRequest",
    429: "TooManyRequests",
    500: "InternalError",
    503: "Unavailable",
}
DESCRIPTIONS = ERRORS | {
    405: "an encoded `?` or `/` made the path another one, which has other methods: those that `Allow` says",
    401: "the API key is missing, unknown, expired or revoked; without any, it is the gateway that answers",
    429: "more requests than the gateway lets through; send it again, more slowly",
    500: "something went wrong on our side; it is logged under the `request_id`",
}
SHAPES = {401: PROBLEM_OR_REFUSAL, 413: PROBLEM_OR_REFUSAL, 429: REFUSAL, 500: PROBLEM_OR_REFUSAL}
SHAPES[503] = PROBLEM_OR_REFUSAL


def errors() -> dict[str, Any]:
    """Every error as a component, by its name."""
    return {name: _error(status) for status, name in NAMES.items()}


def reference(status: int) -> dict[str, str]:
    return {"$ref": f"#/components/responses/{NAMES[status]}"}


def header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}


def _error(status: int) -> dict[str, Any]:
    """`example` is added with the others; a 429 comes from the gateway, which knows no correlation id."""
    content = {"application/json": {"schema": SHAPES.get(status, PROBLEM)}}
    headers = {} if status == 429 else {CORRELATION: header("CorrelationId")}
    headers |= {"Allow": header("Allow")} if status == 405 else {}
    return {"description": DESCRIPTIONS[status], **({"headers": headers} if headers else {}), "content": content}
