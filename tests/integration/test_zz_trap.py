from sqlalchemy import text
from functions.api.queries import webhook_standing
from tests.integration.test_webhook_standing import *
def test_trap(service, monkeypatch):
    monkeypatch.setattr(webhook_standing, "HEAD", text("""SELECT id, event_id, status, attempts, scheduled_at, last_error_code, last_error_message, created_at
FROM webhook.webhook_deliveries
WHERE webhook_id = CAST(:webhook_id AS uuid) AND sweep_at IS NOT NULL AND CAST(:first AS text) <> CAST(:last AS text)
ORDER BY webhook_id, id LIMIT 1"""))
    test_a_long_line_is_counted_up_to_a_bound_and_read_along_its_own_index(service, monkeypatch)
