"""What came in belongs to its source: a key that is bound to an application sees what its sources sent (C1)."""

from sqlalchemy import Column, Connection, select
from sqlalchemy.sql.selectable import ScalarSelect

from functions.api.caller import Caller
from functions.api.queries import reach
from functions.api.walk import Index
from functions.models import sources
from functions.statements import named


def within(caller: Caller) -> ScalarSelect[str]:
    """The keys of the sources, living and deleted, whose rows the caller may see."""
    return select(sources.c.id).where(*reach.within(sources, caller)).scalar_subquery()


def chosen(connection: Connection, caller: Caller, source_id: str) -> list[str] | None:
    """The keys of the sources that a list is led along; None when it is along all of the project's."""
    if not source_id and not caller.application_id:
        return None
    wanted = [sources.c.id == source_id] if source_id else []
    found = select(sources.c.id).where(*reach.within(sources, caller), *wanted)
    return [str(id) for id in connection.execute(named("sources.within_reach", found)).scalars()]


def along(project: tuple[Column[str], str], source: Column[str], chosen: list[str] | None) -> list[list[Index]]:
    """The ways of a walk along the rows of these sources, or of the whole project; none for no source."""
    if chosen is None:
        return [[Index([project])]]
    return [[Index([(source, id)]) for id in chosen]] if chosen else []
