"""Whether an implementation's type hints can hold for what a hook really passes and expects back.

Arguments may be wider than the specification's types, results narrower. Anything that cannot be shown to hold
is a contradiction.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final, get_args, get_origin

from grinder.host.foreign import CrashError, attempt
from grinder.settings.plugin import GateSettings, PluginSettings

NUMERIC_TOWER: Final = {int: (float, complex), float: (complex,)}
"""An ``int`` may be given where a ``float`` is asked for (PEP 484)."""


def contradiction(
    function: Callable[..., Any], spec: Callable[..., Any], model: type[PluginSettings] | None = None
) -> str:
    """What is wrong with the hints of ``function``, or empty. Hints that are left out are fine.

    Args:
        function: an implementation, its arguments a subset of the specification's.
        spec: the specification.
        model: the plugin's own settings class, which an argument ``settings`` may be annotated with.
    """
    try:
        hints = attempt(typing.get_type_hints, function)
    except CrashError as error:
        return f"its type hints cannot be evaluated ({error}); import what they name at run time, or leave them out"
    expected = typing.get_type_hints(spec)
    for name, hint in hints.items():
        wanted = expected[name]
        if name == "return":
            if not subtype(hint, wanted):
                return f"its result is annotated {show(hint)}, the hook expects {show(wanted)}"
        else:
            given = model if wanted is GateSettings and model is not None else wanted
            if not subtype(given, hint):
                return f"argument {name!r} is annotated {show(hint)}, the hook passes {show(given)}"
    return ""


def subtype(narrow: Any, wide: Any) -> bool:
    """Whether every value of ``narrow`` is one of ``wide``, as far as that can be shown."""
    if wide is Any or wide is object or narrow is Any or narrow == wide:
        return True
    return all(any(_member_of(one, other) for other in _members(wide)) for one in _members(narrow))


def _members(hint: Any) -> tuple[Any, ...]:
    hint = getattr(hint, "__value__", hint)  # a "type X = ..." alias stands for its value
    if get_origin(hint) in {typing.Union, types.UnionType}:
        return tuple(member for part in get_args(hint) for member in _members(part))
    if hint in {typing.Never, typing.NoReturn}:
        return ()
    return (type(None) if hint is None else hint,)


def _member_of(narrow: Any, wide: Any) -> bool:
    if narrow == wide or wide is object:
        return True
    origin = get_origin(narrow)
    if origin is type and get_origin(wide) is type:
        return subtype(get_args(narrow)[0], get_args(wide)[0])
    if origin is Mapping:
        return _mapping_in(get_args(narrow), wide)
    return isinstance(narrow, type) and isinstance(wide, type) and _subclass(narrow, wide)


def _subclass(narrow: type, wide: type) -> bool:
    if wide in NUMERIC_TOWER.get(narrow, ()):
        return True
    try:
        return issubclass(narrow, wide)
    except TypeError:  # a protocol that is not checkable at run time
        return False


def _mapping_in(arguments: tuple[Any, ...], wide: Any) -> bool:
    """Whether a read-only mapping is one of ``wide``: its values may be narrower, its keys are as they are."""
    if get_origin(wide) is Mapping:
        key, value = get_args(wide)
        return (key is Any or key == arguments[0]) and subtype(arguments[1], value)
    return isinstance(wide, type) and issubclass(Mapping, wide)


def show(hint: Any) -> str:
    """A hint as an author writes it."""
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    return str(hint).replace("typing.", "")
