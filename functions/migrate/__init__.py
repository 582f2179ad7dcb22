"""The migration function: `alembic upgrade head` on deploy, before any other function changes."""
