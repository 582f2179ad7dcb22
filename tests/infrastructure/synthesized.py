"""A synthesized template, read the way CloudFormation or the local runtime reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

Resource = dict[str, Any]

ASSUMED_ENVIRONMENT = {"SYSTEMROOT", "TMPDIR"}  # all that app.py may take from the machine


def synthesize(
    output: Path, *arguments: str, root: Path = ROOT, home: Path | None = None, **environment: str
) -> str:
    """Run app.py as anybody would, on a machine that has Python and nothing else. Returns what it wrote.

    PATH is empty, so there is no node, docker or uv but those of the wheels; a proxy that answers nobody
    stands for the network, unless the environment says otherwise.
    """
    kept = {name: os.environ[name] for name in ASSUMED_ENVIRONMENT & os.environ.keys()}
    nowhere = "http://127.0.0.1:9"
    began = time.monotonic()
    run = subprocess.run(
        [sys.executable, root / "app.py", "-o", output, *arguments],
        env=kept
        | {"PATH": "", "HOME": str(home or Path.home()), "HTTPS_PROXY": nowhere, "HTTP_PROXY": nowhere}
        | environment,
        cwd=output.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"app.py {' '.join(arguments)}: {time.monotonic() - began:.1f} s")
    assert run.returncode == 0, run.stderr[-4000:]
    return run.stdout + run.stderr


@dataclass(frozen=True)
class Template:
    """One stage's template. Logical ids are the CDK's business: things are found by type and name."""

    path: Path
    document: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Template:
        return cls(path, json.loads(path.read_text()))

    @property
    def resources(self) -> dict[str, Resource]:
        return self.document["Resources"]

    def of_type(self, resource_type: str) -> dict[str, Resource]:
        return {name: r for name, r in self.resources.items() if r["Type"] == resource_type}

    def only(self, resource_type: str) -> Resource:
        [resource] = self.of_type(resource_type).values()
        return resource

    def named(self, resource_type: str, key: str, value: str) -> tuple[str, Resource]:
        """The logical id and the resource whose property `key` is `value`."""
        [found] = [
            (name, r) for name, r in self.of_type(resource_type).items() if r["Properties"].get(key) == value
        ]
        return found

    def function(self, name: str) -> tuple[str, dict[str, Any]]:
        """The logical id and the properties of the function called hookline-<stage>-<name>."""
        stage = self.path.name.split(".")[0]
        logical_id, resource = self.named("AWS::Lambda::Function", "FunctionName", f"{stage}-{name}")
        return logical_id, resource["Properties"]

    def queue(self, name: str) -> tuple[str, dict[str, Any]]:
        stage = self.path.name.split(".")[0]
        logical_id, resource = self.named("AWS::SQS::Queue", "QueueName", f"{stage}-{name}")
        return logical_id, resource["Properties"]

    def bucket(self, name: str) -> tuple[str, dict[str, Any]]:
        """The logical id and the properties of the bucket that an output of the stack names."""
        logical_id = self.document["Outputs"][f"{name}Bucket"]["Value"]["Ref"]
        return logical_id, self.resources[logical_id]["Properties"]

    def environment(self, name: str) -> dict[str, Any]:
        return self.function(name)[1]["Environment"]["Variables"]

    def after(self, logical_id: str) -> set[str]:
        """Everything CloudFormation makes or changes before this resource."""
        seen: set[str] = set()
        waiting = [logical_id]
        while waiting:
            resource = self.resources[waiting.pop()]
            depends = resource.get("DependsOn", [])
            names = set([depends] if isinstance(depends, str) else depends) | set(referred(resource))
            new = (names & self.resources.keys()) - seen
            seen |= new
            waiting += new
        return seen

    def statements(self, role_of: str) -> list[dict[str, Any]]:
        """The statements of the role of a function."""
        [role, _arn] = self.function(role_of)[1]["Role"]["Fn::GetAtt"]
        return [
            statement
            for policy in self.of_type("AWS::IAM::Policy").values()
            if {"Ref": role} in policy["Properties"]["Roles"]
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        ]


def referred(value: Any) -> Iterator[str]:
    """The logical ids that a value refers to by Ref or Fn::GetAtt."""
    if isinstance(value, list):
        for item in value:
            yield from referred(item)
    elif isinstance(value, dict):
        if isinstance(value.get("Ref"), str):
            yield value["Ref"]
        elif "Fn::GetAtt" in value:
            yield value["Fn::GetAtt"][0]
        else:
            yield from referred(list(value.values()))


def as_list(value: Any) -> list[Any]:
    """IAM and CloudFormation write one item without its list."""
    return value if isinstance(value, list) else [value]
