"""What each kind of job does in a batch."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from functions.domain import dead_letters, expunge, holding, missed, reopening
from functions.domain.jobs import BATCH, Batch, Job, Kind


def _expunge(connection: Connection, job: Job) -> Batch:
    before = datetime.fromisoformat(job.parameters["before"])
    done = expunge.expunge_batch(connection, job.project_id, after_id=job.position, before=before, limit=BATCH)
    return Batch(done.processed, done.changed, done.last_id if done.processed else None)


KINDS: dict[Kind, Callable[[Connection, Job], Batch]] = {
    "retry": reopening.batch,
    "recover": reopening.batch,
    "replay_missing": missed.batch,
    "redrive": dead_letters.redrive_batch,
    "discard": dead_letters.discard_batch,
    "release": holding.batch,
    "expunge": _expunge,
}
