"""Values to try for a plugin's own settings: the ends of each range, every choice, and something in between."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from grinder.host.models import own_fields
from grinder.settings.plugin import Section

EDGES: Final = (0, 1, -1, 2, 1e-9, 10, 1000, 1e12)


def variants(model: type[BaseModel]) -> tuple[Mapping[str, Any], ...]:
    """One field away from the defaults each; some may not be accepted."""
    if not issubclass(model, Section):
        return ()
    return tuple({name: value} for name, field in own_fields(model).items() for value in _values(field))


def numeric(field: FieldInfo) -> bool:
    """Whether a field takes a number."""
    return any(kind in {int, float, Decimal} for kind in _kinds(field.annotation))


def _values(field: FieldInfo) -> Iterator[Any]:
    for kind in _kinds(field.annotation):
        if kind is bool:
            yield from (True, False)
        elif get_origin(kind) is Literal:
            yield from get_args(kind)
        elif isinstance(kind, type) and issubclass(kind, enum.Enum):
            yield from kind
    if numeric(field):
        yield from _numbers(field)


def _numbers(field: FieldInfo) -> Iterator[Any]:
    for limit in field.metadata:
        for end in ("ge", "le", "gt", "lt"):
            bound = getattr(limit, end, None)
            if bound is not None:
                yield from (bound, bound + 1, bound - 1)
    default = field.default
    if isinstance(default, int | float | Decimal) and not isinstance(default, bool):
        yield from (default * 2, default / 2)
    yield from EDGES


def _kinds(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the hint itself; what annotations carry besides is dropped."""
    if get_origin(hint) in {Union, UnionType}:
        return tuple(kind for part in get_args(hint) for kind in _kinds(part))
    return (hint,)
