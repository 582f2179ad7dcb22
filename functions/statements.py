"""Every statement has a name: logs, metrics and the plans' audit speak of it by that (E1)."""

from typing import TypeVar

from sqlalchemy.sql.base import Executable

NAME = "statement_name"  # the execution option that carries it
# What SQLAlchemy does by itself, in the same figures.
COMMIT, CONNECT, SAVEPOINT = "transaction.commit", "transaction.connect", "transaction.savepoint"
UNNAMED = "unnamed"  # what Alembic and SQLAlchemy ask when they set up; of ours there is none (tests/conftest.py)

Statement = TypeVar("Statement", bound=Executable)


def named(name: str, statement: Statement) -> Statement:
    """The statement with its name: where it is used and what it does, such as `deliver.claim`.

    Names are lower case, of two or more words joined by dots and underscores, and each is given once.
    """
    return statement.execution_options(**{NAME: name})
