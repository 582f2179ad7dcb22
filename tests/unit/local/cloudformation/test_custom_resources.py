import asyncio
import json
import textwrap
from pathlib import Path

import pytest

from local.cloudformation.custom_resources import CustomResourceError, CustomResources
from local.cloudformation.resources import CustomResourceSpec
from tests.unit.local.workers import running, spec

PROVIDER = textwrap.dedent(
    """
    import json, pathlib, urllib.request

    def handler(event, context):
        with pathlib.Path("asked.jsonl").open("a") as file:
            file.write(json.dumps(event) + "\\n")
        properties = event["ResourceProperties"]
        if properties["Revision"] == "crash":
            raise RuntimeError("it crashed")
        if properties["Revision"] == "silent":
            return {"no": "answer"}
        answer = {
            "Status": "FAILED" if properties["Revision"] == "bad" else "SUCCESS",
            "Reason": "the revision is bad",
            "PhysicalResourceId": "migrations",
        }
        request = urllib.request.Request(event["ResponseURL"], data=json.dumps(answer).encode(), method="PUT")
        urllib.request.urlopen(request).close()
    """
)


def apply(folder: Path, *revisions: str) -> list[dict[str, object]]:
    """Apply the resource with each revision in turn; returns what the provider was asked."""
    (folder / "provider.py").write_text(PROVIDER)

    async def run() -> None:
        async with running(folder, spec("provider.handler")) as function:
            for revision in revisions:
                resources = CustomResources(folder / "applied.json", "stack-id")
                properties = {"ServiceToken": "arn:f", "ServiceTimeout": "30", "Revision": revision}
                await resources.apply(
                    CustomResourceSpec("Run", "Custom::Migration", "shop-work", properties), function
                )

    asyncio.run(asyncio.wait_for(run(), 60))
    return [json.loads(line) for line in (folder / "asked.jsonl").read_text().splitlines()]


def test_it_is_created_once_and_updated_from_then_on(tmp_path: Path) -> None:
    created, same, changed = apply(tmp_path, "one", "one", "two")
    assert created["RequestType"] == "Create"
    assert created["ResourceProperties"] == {"ServiceToken": "arn:f", "ServiceTimeout": "30", "Revision": "one"}
    assert (created["LogicalResourceId"], created["StackId"]) == ("Run", "stack-id")
    assert "OldResourceProperties" not in created
    assert same["RequestType"] == changed["RequestType"] == "Update"
    assert changed["OldResourceProperties"] == created["ResourceProperties"]
    assert changed["PhysicalResourceId"] == "migrations"


@pytest.mark.parametrize(
    ("revision", "reason"),
    [("bad", "the revision is bad"), ("crash", "it crashed"), ("silent", "without an answer")],
)
def test_a_failure_says_why_and_is_not_taken_for_applied(revision: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(CustomResourceError, match=reason):
        apply(tmp_path, revision)
    assert not (tmp_path / "applied.json").exists()
