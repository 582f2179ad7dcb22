"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}

Safety rule: the code of the previous release must keep working on the new schema (expand now, contract one
release later). No statement may hold a lock that blocks writers for longer than the lock timeout
(migrations/session.py): add constraints NOT VALID and validate them afterwards, build indexes of big tables
CONCURRENTLY, never rewrite a big table. A revision is one transaction, or else made of steps that each look at
what is there already:

    with online.steps():  # from migrations import online
        online.add_constraints("webhook_events", {"webhook_events_n_range": "CHECK (n >= 0)"})
        online.validate("webhook_events")
        online.create_index("webhook_events_by_n", "webhook_events", "(n, id)")

`destructive` says that rows or columns with data in them are gone afterwards: on AWS it then runs only while there
is a snapshot younger than an hour. A downgrade that would destroy rows begins with `refuse_to_lose`
(migrations/loss.py). All of it: docs/migrations.md.
"""

from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}
destructive = False


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
