"""Entry point of the migration function: a CloudFormation custom resource, or an invocation by hand.

CloudFormation waits for an answer at the event's ResponseURL (AWS CloudFormation User Guide, "Custom resource
request objects"); a failed migration fails the deployment before the code that needs it is there.
"""

import json
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from functions.adapters.database import connect_owner, sqlstate
from functions.domain.partitions import make_missing
from functions.migrate import snapshots
from functions.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

ALEMBIC_INI = Path(__file__).parents[2] / "alembic.ini"
PHYSICAL_ID = "hookline-migrations"
REASON_CHARACTERS = 1000  # CloudFormation takes 4 KB for the whole answer
# A revision that did not get its locks in time is made again: long enough in between for what stood in the way to
# end, and for those that waited behind the revision to go on.
PAUSES_SECONDS = (5, 15, 30, 60)
RETRIED_SECONDS = 300  # what took longer than that will again
NO_LOCK = ("55P03", "40P01", "57014")  # a lock timeout, a deadlock, a step that waited too long for several locks


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
    scripts = ScriptDirectory.from_config(config)
    revision, current = str(scripts.get_current_head()), _current_revision()
    known = [script.revision for script in scripts.walk_revisions()]
    if current is not None and current not in known:
        # A deployment that is rolled back runs the code of the release before. Its schema stays: every revision
        # keeps the previous release working (migrations/script.py.mako).
        logger.warning("the database is ahead of this release", revision=current)
        return {"revision": current}
    if current is not None:  # else there is nothing to lose
        snapshots.require_for(scripts.iterate_revisions("head", current))
    _upgrade(config)
    with connect_owner() as connection:
        made = make_missing(connection)
    logger.info("migrated", revision=revision, partitions_made=len(made))
    return {"revision": revision}


def _current_revision() -> str | None:
    """The database's; None of one that is empty."""
    with connect_owner() as connection:
        options = {"version_table_schema": "webhook"}
        return MigrationContext.configure(connection, opts=options).get_current_revision()


def _upgrade(config: Config) -> None:
    """Every revision that was made stays made, so this goes on where it was. Raises what the last try raised."""
    began = time.monotonic()
    for pause in PAUSES_SECONDS:
        try:
            return command.upgrade(config, "head")
        except DBAPIError as error:
            if sqlstate(error) not in NO_LOCK or time.monotonic() - began > RETRIED_SECONDS:
                raise
            logger.warning("a revision did not get its locks", pause_seconds=pause, error=str(error.orig))
            time.sleep(pause)
    return command.upgrade(config, "head")


def _answer(event: dict[str, Any], result: dict[str, Any]) -> None:
    echoed = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    body = json.dumps({**echoed, "PhysicalResourceId": PHYSICAL_ID, **result}).encode()
    # The URL comes from CloudFormation itself: presigned, https, for this one answer.
    headers = {"content-type": ""}  # what the URL was presigned with
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT", headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        response.read()
