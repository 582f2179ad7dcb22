"""Every operation of the document with somebody else's ids.

What is another project's, or another application's for a key that is bound to one, is as if it were not there: the
same status, code and message as for an id that does not exist, and nothing of it changes.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.contract.documented import Operation, fields, load, operations
from tests.contract.world import Things, key_of, mentioning, rows, things, with_keys
from tests.integration.conftest import Answer, Client, Service

OPERATIONS = [one for one in operations(load()) if one.path.startswith("/v1/")]
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")
# What is made is given a name or an id; neither is looked up, so another project's does not matter.
CHOSEN = {"name", "id"}
# The project is the bound key's own, and it sees what any key did to its application.
SHARED = {"project_id", "actor_id"}
NewProject = Callable[..., tuple[str, Client]]


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    body: Any = None
    names: list[str] = field(default_factory=list)  # of the ids that are somebody else's

    def by(self, client: Client) -> Answer:
        return client(self.method, self.path, self.body)

    def __str__(self) -> str:
        return f"{self.method} {self.path} {json.dumps(self.body)}"


def calls(operation: Operation, own: Things, foreign: Things) -> Iterator[Call]:
    """The operation with every id of its path foreign, each of them alone, and each of its query and its body."""
    body = operation.examples[0] if operation.examples else None
    in_path = operation.names("path")
    choices = [in_path, *([name] for name in in_path if len(in_path) > 1)]
    for names in choices if in_path else ():
        ids = own.ids | {name: foreign.ids[name] for name in names}
        yield Call(operation.method, operation.path.format(**ids), body, names)
    path = own.filled(operation.path)
    for name in operation.names("query"):
        if name in foreign.ids:
            yield Call(operation.method, f"{path}?{name}={foreign.ids[name]}", body, [name])
    if operation.body and isinstance(body, dict):
        for name, schema in fields(operation.document, operation.body["schema"]).items():
            if (one := _singular(name)) in foreign.ids and name not in CHOSEN:
                value = [foreign.ids[one]] if "array" in schema.get("type", []) else foreign.ids[one]
                yield Call(operation.method, path, body | {name: value}, [name])


def _singular(name: str) -> str:
    return name.removesuffix("s") if name.endswith("_ids") else name


def missing(like: Things) -> Things:
    """Ids of the same shapes that nothing has."""
    return Things(
        {name: str(uuid4()) if UUID.fullmatch(id) else f"no-{uuid4().hex}" for name, id in like.ids.items()}, ""
    )


def told(answer: Answer, *ids: Things) -> tuple[int, str]:
    """The status, and the body without what is different in any two answers."""
    body = json.dumps(answer.body, sort_keys=True)
    for one in ids:
        for id in one.ids.values():
            body = body.replace(id, "<id>")
    body = re.sub(r'"request_id": "[^"]*"', "", body)
    return answer.status, TIME.sub("<time>", UUID.sub("<id>", body))


def test_another_project_s_things_are_as_if_they_were_not_there(service: Service, new_project: NewProject) -> None:
    project, stranger = new_project()
    foreign = with_keys(service, service.project_id, things(service, service.client))
    own = with_keys(service, project, things(service, stranger))
    before = rows(service.sql, service.project_id)
    problems = [
        problem
        for operation in OPERATIONS
        if operation.takes_project_key
        for problem in compared(operation, stranger, own, foreign)
    ]
    after = rows(service.sql, service.project_id)
    problems += [f"the rows of {table} changed" for table in before if before[table] != after[table]]
    assert not problems, "\n".join(problems)


def test_its_own_things_are_there_for_every_key_that_may_see_them(service: Service) -> None:
    """What the other tests compare with: that nothing is found is due to whose it is."""
    mine = with_keys(service, service.project_id, things(service, service.client, uid="mine"))
    bound = key_of(service, ["*"], application_id=mine.application)
    for operation in OPERATIONS:
        if operation.method == "GET" and operation.names("path"):
            clients = (service.client, bound) if operation.takes_project_key else (service.admin,)
            for client in clients:
                answer = client("GET", mine.filled(operation.path))
                assert answer.status == 200, (str(operation), answer.body)


def test_another_application_s_things_are_as_if_they_were_not_there_for_a_bound_key(service: Service) -> None:
    theirs = things(service, service.client, uid="theirs")
    whole = things(service, service.client)  # bound to none: not for a bound key either
    mine = things(service, service.client, uid="mine")
    bound = key_of(service, ["*"], application_id=mine.application)
    own = with_keys(service, service.project_id, mine)
    problems = []
    before = mentioning(service.sql, theirs, whole)
    for found in (theirs, whole):
        ids = with_keys(service, service.project_id, found).ids
        foreign = Things({name: id for name, id in ids.items() if name not in SHARED}, "")
        for operation in OPERATIONS:
            if operation.takes_project_key and "name" not in operation.names("path"):
                problems += compared(operation, bound, own, foreign)
    after = mentioning(service.sql, theirs, whole)
    problems += [f"rows of {table} changed" for table in before if before[table] != after[table]]
    assert not problems, "\n".join(problems)


def test_lists_of_another_project_and_of_a_bound_key_hold_only_their_own(
    service: Service, new_project: NewProject
) -> None:
    _, stranger = new_project()
    theirs, mine = (things(service, service.client, uid=uid) for uid in ("theirs", "mine"))
    bound = key_of(service, ["*"], application_id=mine.application)
    for operation in OPERATIONS:
        if operation.method != "GET" or not operation.takes_project_key or operation.names("path"):
            continue
        for client, hidden in ((stranger, (theirs, mine)), (bound, (theirs,))):
            answer = client("GET", operation.path)
            text = json.dumps(answer.body)
            seen = [
                name
                for one in hidden
                for name, id in one.ids.items()
                if id in text and not (client is bound and name in {"name", "event_type"})
            ]
            assert not seen, (str(operation), seen)


def compared(operation: Operation, client: Client, own: Things, foreign: Things) -> list[str]:
    """What gives away that the foreign things are there."""
    nowhere = missing(foreign)
    problems = []
    pairs = zip(calls(operation, own, foreign), calls(operation, own, nowhere), strict=True)
    for theirs, nobodys in pairs:
        there, not_there = theirs.by(client), nobodys.by(client)
        if told(there, foreign, own) != told(not_there, nowhere, own):
            problems.append(f"{theirs}: {there.status} {there.body}, but {not_there.status} {not_there.body}")
        if set(theirs.names) & set(operation.names("path")) and there.status < 400:
            problems.append(f"{theirs}: {there.status} {there.body}")
    return problems
