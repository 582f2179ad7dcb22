"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}

Safety rule: the code of the previous release must keep working on the new schema (expand now, contract one
release later). No statement may hold a lock that blocks writers for longer than `lock_timeout`
(migrations/env.py): add constraints NOT VALID and validate them in a later revision, build indexes of big
tables CONCURRENTLY in a revision of their own, never rewrite a big table.
"""

from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
