"""Running a revision's script."""

from alembic import op


def run(script: str) -> None:
    """Statements that end with a semicolon and a line feed, one at a time: the extended protocol takes no more."""
    for statement in script.split(";\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
