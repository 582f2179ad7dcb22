"""What it takes to scrape a change event's page again."""

from sqlalchemy import Connection, RowMapping, text

from functions.api.caller import Caller
from functions.statements import named

# As it stands; whether a rescrape is unfinished is decided once more by the statement that starts one.
ASKED = named(
    "rescrapes.asked",
    text("""
SELECT c.rescrape_status, c.rescrape_job_id, s.application_id, s.deleted_at IS NOT NULL AS is_deleted,
  s.rescrape IS NOT NULL AS has_policy, s.credentials IS NOT NULL AS has_credentials
FROM webhook.change_events c JOIN webhook.sources s ON s.id = c.source_id
WHERE c.id = CAST(:id AS uuid) AND c.project_id = CAST(:project_id AS uuid)
  AND (CAST(:application_id AS uuid) IS NULL OR s.application_id = CAST(:application_id AS uuid))
"""),
)


def asked(connection: Connection, caller: Caller, id: str) -> RowMapping | None:
    """How the change event and its source stand, if the caller may see them."""
    given = {"id": id, "project_id": caller.project_id, "application_id": caller.application_id or None}
    return connection.execute(ASKED, given).mappings().one_or_none()
