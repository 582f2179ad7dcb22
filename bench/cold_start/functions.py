"""The functions as the synthesized template has them."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REGION = "eu-central-1"
UNRESOLVED = "unresolved"  # stands for what only a deployment knows; importing must not need it


@dataclass(frozen=True)
class Function:
    """`name` as in AWS, `handler` such as `functions.api.handler.handler`."""

    name: str
    handler: str
    variables: dict[str, str]

    @property
    def short_name(self) -> str:
        return self.name.rpartition("-")[2]

    @property
    def module(self) -> str:
        return self.handler.rpartition(".")[0]

    @property
    def environment(self) -> dict[str, str]:
        """Of an interpreter that imports the handler."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {
            **kept,
            **self.variables,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
        }


def functions(template: Path) -> list[Function]:
    """In the order of their names. Raises OSError if the template is not there: `make synth` makes it."""
    resources: dict[str, Any] = json.loads(template.read_text())["Resources"]
    found = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::Lambda::Function"]
    made = [Function(one["FunctionName"], one["Handler"], _variables(one)) for one in found]
    return sorted(made, key=lambda function: function.name)


def _variables(properties: dict[str, Any]) -> dict[str, str]:
    variables = properties.get("Environment", {}).get("Variables", {})
    return {name: value if isinstance(value, str) else UNRESOLVED for name, value in variables.items()}
