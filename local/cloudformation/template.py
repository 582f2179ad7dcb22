"""The synthesized CloudFormation template: what the stack says, with local values in place of AWS's."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from local.cloudformation.attributes import ATTRIBUTES
from local.cloudformation.intrinsics import Intrinsics, TemplateError

__all__ = ["ACCOUNT", "REGION", "Addresses", "Resource", "Template", "TemplateError", "load"]

ACCOUNT = "000000000000"
REGION = "eu-central-1"


@dataclass(frozen=True)
class Addresses:
    """Where this machine serves what the template's endpoints stand for. URLs without a trailing slash."""

    api_url: str
    sqs_url: str
    database_host: str
    database_port: int


@dataclass(frozen=True)
class Resource:
    """One resource of the template; its properties are resolved when they are read."""

    template: "Template"
    logical_id: str
    type: str

    @property
    def properties(self) -> Mapping[str, Any]:
        """As written, unresolved."""
        properties: Mapping[str, Any] = self.template.document["Resources"][self.logical_id].get("Properties", {})
        return properties

    def get(self, name: str, default: Any = None) -> Any:
        """One property, resolved. Raises TemplateError when it refers to something without a local value."""
        if name not in self.properties:
            return default
        value = self.template.intrinsics.resolve(self.properties[name], f"{self.logical_id}.{name}")
        return default if value is None else value

    def require(self, name: str) -> Any:
        """One property that this type cannot do without. Raises TemplateError."""
        value = self.get(name)
        if value is None:
            raise TemplateError(f"{self.logical_id}.{name} is missing")
        return value

    def only(self, *names: str, ignored: tuple[str, ...] = ()) -> "Resource":
        """Refuse properties that the local runtime would silently not honour.

        `ignored` are those that cannot matter here. Raises TemplateError naming the first other one.
        """
        for name in self.properties:
            if name not in names and name not in ignored and name not in ("Tags", "Description"):
                raise TemplateError(f"{self.logical_id}.{name} ({self.type}) has no local counterpart")
        return self


class Template:
    """A template in a place: the document, and what its references mean on this machine."""

    def __init__(self, document: Mapping[str, Any], stack_name: str, addresses: Addresses) -> None:
        self.document = document
        self.stack_name = stack_name
        self.addresses = addresses

    @cached_property
    def intrinsics(self) -> Intrinsics:
        pseudo = {
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::StackId": self.stack_id,
            "AWS::StackName": self.stack_name,
            "AWS::URLSuffix": "amazonaws.com",
        }
        return Intrinsics(self.document, pseudo, self.attribute)

    @property
    def stack_id(self) -> str:
        return self.arn("cloudformation", f"stack/{self.stack_name}/local")

    def arn(self, service: str, rest: str) -> str:
        return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"

    def of_type(self, type_name: str) -> Iterator[Resource]:
        """Resources of this type whose condition holds, in the template's order."""
        for logical_id, resource in self.document.get("Resources", {}).items():
            if resource["Type"] == type_name and self._exists(resource):
                yield Resource(self, logical_id, type_name)

    def resource(self, logical_id: str) -> Resource:
        """Raises LookupError when the template has no such resource, or its condition does not hold."""
        resource = self.document.get("Resources", {}).get(logical_id)
        if resource is None or not self._exists(resource):
            raise LookupError(f"there is no resource {logical_id}")
        return Resource(self, logical_id, resource["Type"])

    def attribute(self, logical_id: str, attribute: str | None) -> Any:
        """What Ref (attribute None) or Fn::GetAtt give here. Raises LookupError."""
        resource = self.resource(logical_id)
        local = ATTRIBUTES.get((resource.type, attribute))
        if local is None:
            asked = f"the attribute {attribute}" if attribute else "Ref"
            raise LookupError(f"{asked} of {logical_id} ({resource.type}) has no local value")
        return local(resource)

    def _exists(self, resource: Mapping[str, Any]) -> bool:
        condition = resource.get("Condition")
        return condition is None or self.intrinsics.holds(condition)


def load(path: Path, addresses: Addresses) -> Template:
    """Read `<stack name>.template.json`. Raises TemplateError when there is none."""
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        raise TemplateError(f"{path} does not exist: synthesize the stack first (python app.py)") from None
    return Template(document, path.name.removesuffix(".template.json"), addresses)
