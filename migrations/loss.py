"""A downgrade that would destroy rows refuses to, unless it is told that this is meant (A9)."""

import os

from alembic import op
from sqlalchemy import text

ALLOW = "HOOKLINE_ALLOW_DATA_LOSS"


def refuse_to_lose(what: str, *held: str) -> None:
    """Raise RuntimeError if any of the queries `held` finds a row, and the environment does not allow its loss.

    `what` completes "this downgrade …". Each of `held` is the rest of a query: `FROM webhook.applications`.
    """
    if os.environ.get(ALLOW) == "1":
        return
    asked = " OR ".join(f"EXISTS (SELECT {query})" for query in held)
    if op.get_bind().execute(text(f"SELECT {asked}")).scalar_one():
        raise RuntimeError(f"this downgrade {what}; set {ALLOW}=1 if you mean it")
