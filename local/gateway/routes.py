"""Which route of an HTTP API answers a request, by AWS's rule: the most specific one.

A full match comes before one with path variables, that before a greedy variable ({proxy+}), and $default
last; for one path, its method comes before ANY.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from local.cloudformation.http_api import RouteSpec

DEFAULT = "$default"
_LITERAL, _VARIABLE, _GREEDY = range(3)


@dataclass(frozen=True)
class Match:
    route: RouteSpec
    parameters: dict[str, str]


def matcher(routes: Iterable[RouteSpec]) -> Callable[[str, str], Match | None]:
    """A function (method, decoded path) → the route, or None when not even $default exists."""
    default = next((route for route in routes if route.key == DEFAULT), None)
    patterns = sorted((_Pattern.of(route) for route in routes if route.key != DEFAULT), key=_Pattern.rank)

    def match(method: str, path: str) -> Match | None:
        segments = path.removeprefix("/").split("/")
        for pattern in patterns:
            if pattern.method in (method, "ANY"):
                parameters = pattern.parameters(segments)
                if parameters is not None:
                    return Match(pattern.route, parameters)
        return Match(default, {}) if default else None

    return match


@dataclass(frozen=True)
class _Pattern:
    route: RouteSpec
    method: str
    segments: tuple[tuple[int, str], ...]  # (kind, literal text or variable name)

    @classmethod
    def of(cls, route: RouteSpec) -> "_Pattern":
        method, path = route.key.split(" ", 1)
        return cls(route, method, tuple(_segment(text) for text in path.removeprefix("/").split("/")))

    def rank(self) -> tuple[list[int], int, bool]:
        kinds = [kind for kind, _ in self.segments]
        return kinds, -len(kinds), self.method == "ANY"

    def parameters(self, path: list[str]) -> dict[str, str] | None:
        """The path variables' values, or None when this is not the path's pattern."""
        found: dict[str, str] = {}
        for index, (kind, text) in enumerate(self.segments):
            if index >= len(path):
                return None
            if kind == _GREEDY:
                found[text] = "/".join(path[index:])
                return found if found[text] else None
            if kind == _LITERAL and path[index] != text:
                return None
            if kind == _VARIABLE:
                if not path[index]:
                    return None
                found[text] = path[index]
        return found if len(path) == len(self.segments) else None


def _segment(text: str) -> tuple[int, str]:
    if text.startswith("{") and text.endswith("+}"):
        return _GREEDY, text[1:-2]
    if text.startswith("{") and text.endswith("}"):
        return _VARIABLE, text[1:-1]
    return _LITERAL, text
