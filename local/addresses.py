"""Which port each part of the stack listens on, all of them at 127.0.0.1."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.cloudformation.template import Addresses
from local.errors import LocalError
from local.lambdas.environment import Endpoints
from local.logs import say
from local.ports import free_port, is_free, kept_port

API_PORT = 8080


class PortError(LocalError):
    """A port was asked for that is none, or that is taken."""


@dataclass(frozen=True)
class Ports:
    """0 for the database means: the one it had last time, or any."""

    api: int
    sqs: int
    aws: int
    lambda_api: int
    receiver: int
    database: int

    def addresses(self, database_port: int) -> Addresses:
        """What the template's endpoints stand for here."""
        return Addresses(url(self.api), url(self.sqs), "127.0.0.1", database_port)

    def endpoints(self) -> Endpoints:
        return Endpoints(sqs=url(self.sqs), aws=url(self.aws), lambda_api=url(self.lambda_api))


def choose(api: int | None, state_dir: Path, environment: Mapping[str, str] = os.environ) -> Ports:
    """HOOKLINE_PORT and HOOKLINE_<SQS|AWS|LAMBDA|RECEIVER|DATABASE>_PORT, else those of the last start, else any.

    `api` comes before HOOKLINE_PORT; with neither it is API_PORT, or another one when that is taken. Raises
    PortError.
    """
    kept = state_dir / "ports"
    return Ports(
        api=_api_port(_asked("HOOKLINE_PORT", environment) if api is None else api),
        sqs=kept_port(kept / "sqs", _asked("HOOKLINE_SQS_PORT", environment) or 0),
        aws=kept_port(kept / "aws", _asked("HOOKLINE_AWS_PORT", environment) or 0),
        lambda_api=kept_port(kept / "lambda", _asked("HOOKLINE_LAMBDA_PORT", environment) or 0),
        receiver=kept_port(kept / "receiver", _asked("HOOKLINE_RECEIVER_PORT", environment) or 0),
        database=_asked("HOOKLINE_DATABASE_PORT", environment) or 0,
    )


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _asked(variable: str, environment: Mapping[str, str]) -> int | None:
    text = environment.get(variable, "")
    if not text:
        return None
    if not text.isdecimal() or int(text) > 65_535:
        raise PortError(f"{variable}={text} is not a port")
    return int(text)


def _api_port(asked: int | None) -> int:
    if asked is None:
        if is_free(API_PORT):
            return API_PORT
        other = free_port()
        say(f"port {API_PORT} is taken: the API listens on {other}")
        return other
    if asked and not is_free(asked):
        raise PortError(f"port {asked} is taken; ask for another one with --port or HOOKLINE_PORT, 0 for any")
    return asked or free_port()
