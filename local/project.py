"""A project and an API key to begin with, made through the API like any other and kept between starts."""

import json
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from local.errors import LocalError
from local.files import write_private


class ProjectError(LocalError):
    """The API did not give a project or a key."""


@dataclass(frozen=True)
class Project:
    project_id: str
    api_key: str


async def ensure_project(session: aiohttp.ClientSession, *, api_url: str, admin_key: str, file: Path) -> Project:
    """The kept project if the API still knows its key, else a new one. Raises ProjectError."""
    if file.exists():
        kept = Project(**json.loads(file.read_text()))
        if await _knows(session, api_url, kept.api_key):
            return kept
    project = await _post(session, f"{api_url}/v1/projects", admin_key, {"name": "local"})
    keys = f"{api_url}/v1/projects/{project['id']}/api-keys"
    key = await _post(session, keys, admin_key, {"name": "local", "scopes": ["*"]})
    made = Project(project["id"], key["key"])
    write_private(file, json.dumps(asdict(made), indent=2))
    return made


async def _knows(session: aiohttp.ClientSession, api_url: str, api_key: str) -> bool:
    async with session.get(f"{api_url}/v1/webhooks?limit=1", headers=_bearer(api_key)) as response:
        if response.status not in (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED):
            raise ProjectError(f"GET /v1/webhooks answered {response.status}: {await response.text()}")
        return response.status == HTTPStatus.OK


async def _post(session: aiohttp.ClientSession, url: str, key: str, body: dict[str, Any]) -> dict[str, Any]:
    async with session.post(url, json=body, headers=_bearer(key)) as response:
        if response.status != HTTPStatus.CREATED:
            raise ProjectError(f"POST {url} answered {response.status}: {await response.text()}")
        made: dict[str, Any] = await response.json()
        return made


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
