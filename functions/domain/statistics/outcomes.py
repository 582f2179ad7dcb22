"""What an attempt counts as, by what was recorded of it; docs/statistics.md says what each means to a customer."""

from functions.domain.outcome import REFUSALS

# Every attempt is exactly one of these; they are columns of webhook.delivery_statistics, too.
OUTCOMES = (
    *("succeeded", "redirected", "rejected", "throttled", "server_error"),
    *("timed_out", "dns_error", "connection_error", "tls_error", "invalid_response", "refused", "other"),
)
# The endpoint was there and took its decision; what it said is another matter.
AVAILABLE = ("succeeded", "redirected", "rejected", "throttled")
# With a whole response, so that there is a time that it took.
ANSWERED = (*AVAILABLE, "server_error")

HTTP_STATUS = "http_status"
BY_CODE = {  # of functions/adapters/send_failures.py; what is not here is `other`
    "timeout": "timed_out",
    "dns_error": "dns_error",
    "connection_failed": "connection_error",
    "connect_timeout": "connection_error",
    "connection_closed": "connection_error",
    "tls_error": "tls_error",
    "invalid_response": "invalid_response",
    "response_too_large": "invalid_response",
    **dict.fromkeys(REFUSALS, "refused"),
}


def outcome(error_code: str | None, status: int | None) -> str:
    """One of OUTCOMES. An answer of no kind that HTTP has, such as 700, is no valid response."""
    if error_code is None:
        return "succeeded"
    if error_code != HTTP_STATUS:
        return BY_CODE.get(error_code, "other")
    if status == 429:
        return "throttled"
    kinds = {3: "redirected", 4: "rejected", 5: "server_error"}
    return kinds.get((status or 0) // 100, "invalid_response")


def _sql() -> str:
    """`outcome` of the columns `error_code` and `response_status` (a test holds the two to the same answers)."""
    codes = " ".join(f"WHEN '{code}' THEN '{name}'" for code, name in BY_CODE.items())
    return f"""CASE WHEN error_code IS NULL THEN 'succeeded'
      WHEN error_code <> '{HTTP_STATUS}' THEN CASE error_code {codes} ELSE 'other' END
      WHEN response_status = 429 THEN 'throttled'
      ELSE CASE response_status / 100 WHEN 3 THEN 'redirected' WHEN 4 THEN 'rejected' WHEN 5 THEN 'server_error'
        ELSE 'invalid_response' END END"""


SQL = _sql()
