"""Entry point of the migration function: a CloudFormation custom resource, or an invocation by hand.

CloudFormation waits for an answer at the event's ResponseURL (AWS CloudFormation User Guide, "Custom resource
request objects"); a failed migration fails the deployment before the code that needs it is there.
"""

import json
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from functions.adapters.database import connect_owner
from functions.domain.partitions import make_missing
from functions.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

ALEMBIC_INI = Path(__file__).parents[2] / "alembic.ini"
PHYSICAL_ID = "hookline-migrations"
REASON_CHARACTERS = 1000  # CloudFormation takes 4 KB for the whole answer


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: "LambdaContext") -> dict[str, Any]:
    """Migrate to the newest revision and answer it. Deleting the stack changes nothing in the database."""
    if "ResponseURL" not in event:
        return _migrate()
    try:
        data = {} if event["RequestType"] == "Delete" else _migrate()
    except Exception as error:
        logger.exception("migration failed")
        _answer(event, {"Status": "FAILED", "Reason": f"{error}"[:REASON_CHARACTERS]})
        raise
    _answer(event, {"Status": "SUCCESS", "Data": data})
    return data


def _migrate() -> dict[str, str]:
    config = Config(ALEMBIC_INI)
    revision = str(ScriptDirectory.from_config(config).get_current_head())
    if newer := _newer_than_this_code(config):
        # A deployment that is rolled back runs the code of the release before. Its schema stays: every revision
        # keeps the previous release working (migrations/script.py.mako).
        logger.warning("the database is ahead of this release", revision=newer)
        return {"revision": newer}
    command.upgrade(config, "head")
    with connect_owner() as connection:
        made = make_missing(connection)
    logger.info("migrated", revision=revision, partitions_made=len(made))
    return {"revision": revision}


def _newer_than_this_code(config: Config) -> str | None:
    """The database's revision, if this release does not know it."""
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with connect_owner() as connection:
        options = {"version_table_schema": "webhook"}
        current = MigrationContext.configure(connection, opts=options).get_current_revision()
    return current if current is not None and current not in known else None


def _answer(event: dict[str, Any], result: dict[str, Any]) -> None:
    echoed = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    body = json.dumps({**echoed, "PhysicalResourceId": PHYSICAL_ID, **result}).encode()
    # The URL comes from CloudFormation itself: presigned, https, for this one answer.
    headers = {"content-type": ""}  # what the URL was presigned with
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT", headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        response.read()
