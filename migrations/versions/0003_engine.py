"""The delivery engine: circuit breaker, rate limits, slow endpoints, strict ordering, automatic disabling.

Revision ID: 0003
Revises: 0002

Safety rule: the code of the previous release must keep working on the new schema (expand now, contract one
release later). Only columns that are null or have constant defaults, and indexes, are added; the audit log takes
one more kind of actor, and dead letters may be of deliveries that were never tried. The downgrade forgets those
and what the audit log says of Hookline itself, and refuses to while there are any unless
HOOKLINE_ALLOW_DATA_LOSS=1. How endpoints are doing is learnt anew; what strict webhooks have in line is due at
once, in no order.
"""

from migrations.loss import refuse_to_lose
from migrations.scripts import run

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

HEALTH = """
ALTER TABLE webhook.webhook_health
  ADD COLUMN strikes integer NOT NULL DEFAULT 0,
  ADD COLUMN failing_since timestamptz,
  ADD COLUMN circuit text NOT NULL DEFAULT 'closed',
  ADD COLUMN circuit_changed_at timestamptz,
  ADD COLUMN circuit_openings integer NOT NULL DEFAULT 0,
  ADD COLUMN hold_until timestamptz,
  ADD COLUMN slow_until timestamptz,
  ADD COLUMN rate_due_at timestamptz,
  ADD COLUMN line_until timestamptz,
  ADD CONSTRAINT webhook_health_circuit_known CHECK (circuit IN ('closed', 'open', 'half_open')),
  ADD CONSTRAINT webhook_health_counts_range CHECK (strikes >= 0 AND circuit_openings >= 0);
COMMENT ON COLUMN webhook.webhook_health.strikes IS
  'Failures in a row that speak of the endpoint and not of one event; 0 after a success';
COMMENT ON COLUMN webhook.webhook_health.failing_since IS 'The first failure after the last success';
COMMENT ON COLUMN webhook.webhook_health.circuit_openings IS
  'Times the circuit opened since the last success: each stays open for longer';
COMMENT ON COLUMN webhook.webhook_health.hold_until IS
  'Nothing is sent before: the circuit is open, its probe is under way, or the endpoint sent Retry-After';
COMMENT ON COLUMN webhook.webhook_health.slow_until IS 'Goes through the retry queue until then, a few at a time';
COMMENT ON COLUMN webhook.webhook_health.rate_due_at IS
  'The token bucket of the rate limit as the time at which it is full again';
COMMENT ON COLUMN webhook.webhook_health.line_until IS 'When the last of those held back is due';
CREATE INDEX webhook_health_failing ON webhook.webhook_health (failing_since) WHERE failing_since IS NOT NULL;
CREATE INDEX webhooks_strict ON webhook.webhooks (id) WHERE ordering = 'strict' AND deleted_at IS NULL;
CREATE INDEX webhook_deliveries_unfinished_by_webhook ON webhook.webhook_deliveries (webhook_id, id)
  WHERE sweep_at IS NOT NULL;
ALTER TABLE webhook.webhook_dlq
  DROP CONSTRAINT webhook_dlq_attempts_range,
  ADD CONSTRAINT webhook_dlq_attempts_range CHECK (attempts >= 0);
ALTER TABLE webhook.audit_log
  DROP CONSTRAINT audit_log_actor_known,
  ADD CONSTRAINT audit_log_actor_known CHECK (actor_type IN ('api_key', 'admin', 'hookline'));
"""
DOWN = """
UPDATE webhook.webhook_deliveries d SET sweep_at = now() FROM webhook.webhooks w
  WHERE w.id = d.webhook_id AND w.ordering = 'strict' AND w.status = 'active' AND d.sweep_at = 'infinity';
DELETE FROM webhook.webhook_dlq WHERE attempts = 0;
ALTER TABLE webhook.webhook_dlq
  DROP CONSTRAINT webhook_dlq_attempts_range,
  ADD CONSTRAINT webhook_dlq_attempts_range CHECK (attempts >= 1);
ALTER TABLE webhook.audit_log DROP CONSTRAINT audit_log_actor_known;
DELETE FROM webhook.audit_log WHERE actor_type = 'hookline';
ALTER TABLE webhook.audit_log ADD CONSTRAINT audit_log_actor_known CHECK (actor_type IN ('api_key', 'admin'));
DROP INDEX webhook.webhook_deliveries_unfinished_by_webhook;
DROP INDEX webhook.webhooks_strict;
ALTER TABLE webhook.webhook_health
  DROP COLUMN strikes, DROP COLUMN failing_since, DROP COLUMN circuit, DROP COLUMN circuit_changed_at,
  DROP COLUMN circuit_openings, DROP COLUMN hold_until, DROP COLUMN slow_until, DROP COLUMN rate_due_at,
  DROP COLUMN line_until;
"""


def upgrade() -> None:
    run(HEALTH)


def downgrade() -> None:
    refuse_to_lose(
        "forgets dead letters that were never tried, and what the audit log says of Hookline itself",
        "FROM webhook.webhook_dlq WHERE attempts = 0",
        "FROM webhook.audit_log WHERE actor_type = 'hookline'",
    )
    run(DOWN)
