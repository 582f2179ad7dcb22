"""Subscriptions of logs: which lines of which function's log go to which function."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from local.cloudformation.resources import function_in
from local.cloudformation.template import Template, TemplateError

_EQUALS = r'\(\$\.(\w+) = "(\w+)"\)'
_PATTERN = re.compile(rf"\{{ {_EQUALS}(?: \|\| {_EQUALS})* \}}")


@dataclass(frozen=True)
class SubscriptionSpec:
    """Lines of a log that are JSON and have one of these values under one of these names."""

    name: str
    log_group: str
    function: str
    wanted: frozenset[tuple[str, str]]

    def takes(self, line: str) -> bool:
        """Whether the line is wanted. Most are not, which is seen without reading them."""
        if not line.startswith("{") or not any(f'"{value}"' in line for _, value in self.wanted):
            return False
        try:
            read = json.loads(line)
        except ValueError:
            return False
        return any(read.get(name) == value for name, value in self.wanted)


def subscriptions(template: Template) -> Iterator[SubscriptionSpec]:
    """Raises TemplateError for a pattern that does not run here."""
    for resource in template.of_type("AWS::Logs::SubscriptionFilter"):
        resource.only("LogGroupName", "FilterPattern", "DestinationArn", "FilterName")
        pattern = str(resource.require("FilterPattern"))
        if _PATTERN.fullmatch(pattern) is None:
            raise TemplateError(
                f"{resource.logical_id}.FilterPattern: {pattern} does not run here, only"
                f' {{ ($.a = "b") || … }} does'
            )
        yield SubscriptionSpec(
            name=str(resource.get("FilterName", resource.logical_id)),
            log_group=str(resource.require("LogGroupName")),
            function=function_in(str(resource.require("DestinationArn"))),
            wanted=frozenset(re.findall(_EQUALS, pattern)),
        )
