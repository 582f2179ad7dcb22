"""CloudFormation's intrinsic functions and conditions, resolved to local values.

Only what is asked for is resolved, so a resource this machine has no counterpart for (a subnet, a role) does
no harm until something that runs here refers to it; then it is an error that names both ends.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.errors import LocalError

Attribute = Callable[[str, str | None], Any]
"""(logical id, attribute or None for Ref) → local value; raises LookupError when there is none."""

_ABSENT = object()  # AWS::NoValue: the property is left out
_SUBSTITUTION = re.compile(r"\$\{(!?)([^}]+)\}")


class TemplateError(LocalError):
    """The template says something that cannot be run here; names the resource and the property."""


@dataclass(frozen=True)
class Intrinsics:
    """Resolves values of one template. `pseudo` holds AWS::Region and its like."""

    document: Mapping[str, Any]
    pseudo: Mapping[str, str]
    attribute: Attribute
    _conditions: dict[str, bool] = field(default_factory=dict)

    def resolve(self, value: Any, where: str) -> Any:
        """The value with every intrinsic function replaced. Raises TemplateError naming `where`."""
        resolved = self._value(value, where)
        return None if resolved is _ABSENT else resolved

    def holds(self, condition: str) -> bool:
        """Whether a named condition of the template is true."""
        if condition not in self._conditions:
            definition = self.document.get("Conditions", {}).get(condition)
            if definition is None:
                raise TemplateError(f"condition {condition} is not defined")
            self._conditions[condition] = bool(self._value(definition, f"Conditions.{condition}"))
        return self._conditions[condition]

    def _value(self, value: Any, where: str) -> Any:
        if isinstance(value, list):
            items = [self._value(item, f"{where}[{index}]") for index, item in enumerate(value)]
            return [item for item in items if item is not _ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(name, argument)] = value.items()
            if name == "Ref" or name.startswith("Fn::") or (name == "Condition" and isinstance(argument, str)):
                return self._call(name, argument, where)
        members = {key: self._value(member, f"{where}.{key}") for key, member in value.items()}
        return {key: member for key, member in members.items() if member is not _ABSENT}

    def _call(self, name: str, argument: Any, where: str) -> Any:
        function = _FUNCTIONS.get(name)
        if function is None:
            raise TemplateError(f"{where}: {name} is not supported")
        try:
            return function(self, argument, where)
        except TemplateError:
            raise
        except (LookupError, TypeError, ValueError) as error:
            raise TemplateError(f"{where}: {name} {argument!r} cannot be resolved: {error}") from error

    def _ref(self, name: str, _where: str) -> Any:
        if name == "AWS::NoValue":
            return _ABSENT
        if name in self.pseudo:
            return self.pseudo[name]
        parameter = self.document.get("Parameters", {}).get(name)
        if parameter is not None:
            return parameter["Default"]
        return self.attribute(name, None)

    def _get_att(self, argument: Any, where: str) -> Any:
        logical_id, attribute = argument if isinstance(argument, list) else argument.split(".", 1)
        return self.attribute(logical_id, self._value(attribute, where))

    def _join(self, argument: Any, where: str) -> str:
        separator, parts = argument
        return str(separator.join(_text(part) for part in self._value(parts, where)))

    def _sub(self, argument: Any, where: str) -> str:
        text, variables = (argument, {}) if isinstance(argument, str) else argument

        def substitute(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in variables:
                return _text(self._value(variables[name], where))
            return _text(self._get_att(name, where) if "." in name else self._ref(name, where))

        return _SUBSTITUTION.sub(substitute, text)

    def _select(self, argument: Any, where: str) -> Any:
        index, options = argument
        return self._value(options, where)[int(self._value(index, where))]

    def _split(self, argument: Any, where: str) -> list[str]:
        separator, text = argument
        parts: list[str] = self._value(text, where).split(separator)
        return parts

    def _get_azs(self, argument: Any, where: str) -> list[str]:
        region = self._value(argument, where) or self.pseudo["AWS::Region"]
        return [f"{region}{zone}" for zone in "abc"]

    def _if(self, argument: Any, where: str) -> Any:
        condition, then, otherwise = argument
        return self._value(then if self.holds(condition) else otherwise, where)

    def _equals(self, argument: Any, where: str) -> bool:
        left, right = self._value(argument, where)
        return bool(left == right)

    def _and(self, argument: Any, where: str) -> bool:
        return all(self._value(argument, where))

    def _or(self, argument: Any, where: str) -> bool:
        return any(self._value(argument, where))

    def _not(self, argument: Any, where: str) -> bool:
        return not self._value(argument, where)[0]

    def _condition(self, argument: Any, _where: str) -> bool:
        return self.holds(argument)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise TypeError(f"{value!r} is not a string")
    return str(value)


_FUNCTIONS: dict[str, Callable[[Intrinsics, Any, str], Any]] = {
    "Ref": Intrinsics._ref,
    "Condition": Intrinsics._condition,
    "Fn::GetAtt": Intrinsics._get_att,
    "Fn::Join": Intrinsics._join,
    "Fn::Sub": Intrinsics._sub,
    "Fn::Select": Intrinsics._select,
    "Fn::Split": Intrinsics._split,
    "Fn::GetAZs": Intrinsics._get_azs,
    "Fn::If": Intrinsics._if,
    "Fn::Equals": Intrinsics._equals,
    "Fn::And": Intrinsics._and,
    "Fn::Or": Intrinsics._or,
    "Fn::Not": Intrinsics._not,
}
