"""A revision of the run's own behind the product's newest: it takes a while, under locks that deliveries need.

Revision ID: faults
"""

import os

from alembic import op

revision = "faults"
down_revision = os.environ["HOOKLINE_FAULTS_HEAD"]
branch_labels = None
depends_on = None

IN_THE_MIDDLE = "in the middle of the migration"


def upgrade() -> None:
    run = op.get_bind().exec_driver_sql
    run("CREATE TABLE webhook.faults_copy AS SELECT id, webhook_id FROM webhook.webhook_deliveries")
    run("ALTER TABLE webhook.webhook_health ADD COLUMN faults_note text NOT NULL DEFAULT 'migrated'")
    print(IN_THE_MIDDLE, flush=True)
    run("SELECT pg_sleep(1)")
    run("ALTER TABLE webhook.webhook_deliveries ADD COLUMN faults_note text")


def downgrade() -> None:
    run = op.get_bind().exec_driver_sql
    run("ALTER TABLE webhook.webhook_deliveries DROP COLUMN faults_note")
    run("ALTER TABLE webhook.webhook_health DROP COLUMN faults_note")
    run("DROP TABLE webhook.faults_copy")
