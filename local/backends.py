"""What the functions talk to: Postgres, the queue emulator, moto for the rest of AWS, and the demo's endpoints."""

import asyncio
import os
import signal
from pathlib import Path

from local import cluster
from local.cloudformation.stores import DatabaseSpec
from local.cloudformation.template import ACCOUNT, REGION
from local.lambdas.environment import from_shell
from local.ports import answers
from local.postgres import PostgresError, Server
from local.processes import Child, python

# Named as the functions name it (B2); set by the caller, it replaces the server of our own.
DATABASE_URL_VARIABLE = "WEBHOOK_DATABASE_URL"


class Database:
    """Our own Postgres, or the server the caller's environment names."""

    def __init__(self, data_dir: Path, spec: DatabaseSpec, *, port: int) -> None:
        """`port` 0 takes the one of the last start, or any."""
        self._given = os.environ.get(DATABASE_URL_VARIABLE)
        self._spec = spec
        self._server = Server(data_dir, port, admin=spec.admin, settings=spec.parameters)
        self._child = Child(
            "postgres",
            self._server.command,
            ready=lambda: self._server.is_ready,
            environment=cluster.environment(),
            prepare=self._prepare,
            stop_signal=signal.SIGINT,
            stop_seconds=30,
        )

    @property
    def port(self) -> int:
        """0 for a server that is not ours."""
        return self._server.port

    @property
    def pids(self) -> list[int]:
        return self._child.pids

    def reserve(self) -> None:
        """Settle the port before anything is told of it."""
        if self._given is None:
            self._server.reserve()

    def _prepare(self) -> None:
        self._server.prepare()
        if self._server.major != self._spec.major:
            raise PostgresError(f"the stack has Postgres {self._spec.major}, and here is {self._server.major}")

    async def start(self) -> None:
        if self._given is None:
            await self._child.start()
            await asyncio.to_thread(self._server.ensure_database, self._spec.name)

    async def stop(self) -> None:
        await self._child.stop()
        self._server.release()

    def url(self, user: str) -> str:
        """Where this user logs in; on a server that is not ours everybody is the caller's user."""
        return self._given or self._server.url(user, self._spec.name)

    def password(self) -> str:
        """The admin's, for the secret that holds it on AWS."""
        return "" if self._given else self._server.password(self._spec.admin)

    def set_passwords(self, users: set[str]) -> None:
        """Let the roles that migrations made log in, where AWS would take IAM tokens."""
        if self._given is None:
            for user in users:
                self._server.set_password(user)


def sqs(data: Path, port: int) -> Child:
    """The queue emulator; its messages are in the file `data`."""
    where = ("--port", str(port), "--data", str(data))
    return Child(
        "sqs",
        lambda: python("local.sqs", *where, "--account", ACCOUNT, "--region", REGION),
        ready=lambda: answers(port),
        environment=from_shell(),
    )


def aws(seed: Path, objects: Path, port: int) -> Child:
    """KMS, Secrets Manager, S3 and STS, filled from the seed at every start; a folder has the objects."""
    where = ("--port", str(port), "--seed", str(seed), "--objects", str(objects))
    return Child(
        "aws",
        lambda: python("local.aws", *where),
        ready=lambda: answers(port),
        environment=from_shell(),
    )


def receiver(port: int) -> Child:
    """Endpoints to deliver to, for the demo and for what people try after it."""
    return Child(
        "receiver",
        lambda: python("local.receiver", "--port", str(port)),
        ready=lambda: answers(port),
        environment=from_shell(),
    )
