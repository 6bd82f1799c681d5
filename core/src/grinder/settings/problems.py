"""Says what is wrong with settings: where the value came from, which key, and what to do. Never quotes a value."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from grinder.settings.decode import fields, group_of
from grinder.settings.environment import env_name
from grinder.settings.groups import REFUSED
from grinder.settings.origin import Origin


def explain(
    error: ValidationError,
    model: type[BaseModel],
    prefix: tuple[str, ...],
    origin: Callable[[tuple[str, ...]], Origin],
) -> list[str]:
    """One sentence for each thing that a model refused.

    Args:
        error: what it raised.
        model: the model.
        prefix: where in settings the model stands.
        origin: where the value at a path came from.
    """
    problems = []
    for found in error.errors(include_url=False, include_input=False):
        location = (*prefix, *found["loc"])
        if found["type"] == REFUSED:
            location += tuple(found["ctx"]["key"].split("."))
        path = tuple(str(part) for part in location)
        source = origin(path)
        if found["type"] == "extra_forbidden":
            problems.append(_unknown(path, len(prefix), model, source))
        else:
            message = found["msg"].removeprefix("Value error, ")
            problems.append(said(source, _dotted(location), message[:1].lower() + message[1:]))
    return problems


def said(source: Origin, key: str, message: str) -> str:
    """A sentence about a key, with the origin of its value in front where there is one."""
    if source.kind == "default":
        return f"{key}: {message}"
    return f"{source}: {message}" if source.name == key else f"{source}: {key}: {message}"


def _unknown(path: tuple[str, ...], depth: int, model: type[BaseModel], source: Origin) -> str:
    group: Any = model
    for key in path[depth:-1]:
        field = fields(group).get(key) if group else None
        group = group_of(field.annotation) if field else None
    near = get_close_matches(path[-1], sorted(fields(group)), n=1) if group else []
    meant = ".".join((*path[:-1], *near))
    dotted = ".".join(path)
    if source.kind == "environment":
        hint = f"; did you mean {env_name(meant)}?" if near else ""
        return f"{source}: unknown variable, there is no key {dotted}{hint}"
    return said(source, dotted, "unknown key" + (f"; did you mean {meant}?" if near else ""))


def _dotted(location: tuple[int | str, ...]) -> str:
    dotted = ""
    for part in location:
        dotted += f"[{part}]" if isinstance(part, int) else f".{part}"
    return dotted.removeprefix(".")
