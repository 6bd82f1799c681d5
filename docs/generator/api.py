"""The public API: every name that plugins, exchanges, policies, strategies and programs may import."""

from __future__ import annotations

import ast
import enum
import inspect
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import grinder
from generator.markdown import code, first_line, page, table
from grinder import Gatekeeper
from grinder.host.discovery import DISTRIBUTION_PREFIX, PLUGINS
from grinder.host.loading import EXTENSION_PARTS

INTRO = """
`from grinder import …` is all that plugins, exchanges, policies, strategies and programs import; these are all the
names.
They are loaded when they are first used. Everything else in the package may change without notice.
"""

KEEPER = """
## Calls of a gatekeeper

[How to use it](../how-to/your-own-bot.md). Wrong arguments raise `CallError`, and change nothing.
"""

GROUPS = """
## Entry-point groups

A distribution announces what it brings by an entry point. Discovery reads the metadata only; nothing is imported
before settings enable it. Names are lower-case snake case; a name that two distributions claim is refused for both.
Plugins and strategies share one space of names, since their settings are both under `plugins.<name>`.
"""


def build() -> str:
    """The page."""
    rows = ((code(name), _kind(getattr(grinder, name)), _meaning(name)) for name in grinder.__all__)
    calls = ((code(_signature(name)), _meaning_of(name)) for name in _calls(Gatekeeper))
    groups = [(code(PLUGINS), "implementations of [hooks](hooks.md)", code(DISTRIBUTION_PREFIX[PLUGINS] + "*"))]
    groups += [
        (code(group), ", ".join(code(part) for part in parts), code(DISTRIBUTION_PREFIX[group] + "*"))
        for group, parts in EXTENSION_PARTS.items()
    ]
    groups.append((code("grinder.commands"), "a click command, added to `grinder`", ""))
    return page(
        "Public API",
        INTRO,
        table(("name", "what", "meaning"), rows),
        KEEPER,
        table(("call", "effect"), calls),
        GROUPS,
        table(("group", "what the module has", "usual distribution name"), groups),
    )


def _calls(owner: type) -> list[str]:
    """The public methods of a class, its bases' among them."""
    return [name for name, _ in inspect.getmembers(owner, callable) if not name.startswith("_")]


def _signature(name: str) -> str:
    """A call as it is written, without types."""
    parts = []
    for each in inspect.signature(getattr(Gatekeeper, name)).parameters.values():
        if each.kind is inspect.Parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        if each.name != "self":
            default = str(each.default) if isinstance(each.default, enum.Enum) else repr(each.default)
            parts.append(each.name if each.default is inspect.Parameter.empty else f"{each.name}={default}")
    return f"{name}({', '.join(parts)})"


def _meaning_of(name: str) -> str:
    return first_line(getattr(Gatekeeper, name).__doc__)


def _kind(value: Any) -> str:
    if inspect.isclass(value):
        return "protocol" if getattr(value, "_is_protocol", False) else "class"
    if inspect.ismodule(value):
        return "module"
    return "function" if inspect.isfunction(value) else "value"


def _meaning(name: str) -> str:
    value = getattr(grinder, name)
    if inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value):
        return first_line(value.__doc__)
    return _documented(import_module(f"grinder.{grinder._MODULE[name]}"), name)  # noqa: SLF001 - the face's own table


def _documented(module: ModuleType, name: str) -> str:
    """The text under an assignment, else what is assigned."""
    body = ast.parse(inspect.getsource(module)).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if name in _targets(node):
            if (
                isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
                and isinstance(after.value.value, str)
            ):
                return first_line(after.value.value)
            assert isinstance(node, ast.Assign | ast.AnnAssign)  # noqa: S101 - it has targets
            assert node.value is not None  # noqa: S101
            return code(" ".join(ast.unparse(node.value).split()))
    raise LookupError(f"{module.__name__} does not assign {name}")


def _targets(node: ast.stmt) -> Iterator[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return (target.id for target in targets if isinstance(target, ast.Name))
