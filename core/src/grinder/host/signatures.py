"""What a plugin may register. Every refusal names the plugin, the hook and the signature, and says what to do."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Final

import pluggy

from grinder.errors import PluginError
from grinder.host import hookspecs
from grinder.host.foreign import CrashError, attempt
from grinder.host.hints import contradiction
from grinder.host.models import check_model
from grinder.settings.plugin import GateSettings, PluginSettings

GATE: Final = "pre_order_gate"
SETTINGS: Final = "register_settings"

SPECS: Final[Mapping[str, Callable[..., Any]]] = {
    name: function for name, function in vars(hookspecs).items() if hasattr(function, "grinder_spec")
}
"""Every hook's specification by name."""

UNUSED_OPTIONS: Final = {
    "wrapper": "hook wrappers could hide what a gate answered; implement the hook itself",
    "hookwrapper": "hook wrappers could hide what a gate answered; implement the hook itself",
    "tryfirst": "the order of plugins is set by the operator in gates.order; drop the option",
    "trylast": "the order of plugins is set by the operator in gates.order; drop the option",
}


def check_plugin(manager: pluggy.PluginManager, name: str, plugin: object) -> type[PluginSettings]:
    """Refuse a plugin that could not do what it seems to promise; return its settings class.

    Args:
        manager: whose marker tells implementations.
        name: the plugin's name.
        plugin: its module, or an object.

    Raises:
        PluginError: for the first thing that is wrong.
    """
    found = check_hooks(manager, name, plugin)
    model = _settings_model(name, found)
    for hook, function in found.items():
        if problem := contradiction(function, SPECS[hook], model):
            raise PluginError(name, f"{signature(hook, function)}: {problem}")
    return model


def check_hooks(manager: pluggy.PluginManager, name: str, plugin: object) -> dict[str, Callable[..., Any]]:
    """Each hook that a plugin implements, with its function; refuse one that could not be called as it is.

    Raises:
        PluginError: for the first thing that is wrong.
    """
    if inspect.isclass(plugin):
        raise PluginError(name, f"{plugin.__name__} is a class; have you forgotten the ()?")
    found = dict(_implementations(manager, name, plugin))
    for hook, function in found.items():
        check_synchronous(name, signature(hook, function), function)
        _check_arguments(name, hook, function)
    return found


def signature(hook: str, function: Callable[..., Any]) -> str:
    """The hook with the implementation's arguments, as it stands in the source."""
    return f"hook {shown(hook, function)}"


def shown(name: str, function: Callable[..., Any]) -> str:
    """A function's name with its arguments, as it stands in the source."""
    try:
        plain = inspect.signature(function)
    except (TypeError, ValueError):
        return name
    parameters = [each.replace(annotation=_bare(each.annotation)) for each in plain.parameters.values()]
    return f"{name}{plain.replace(parameters=parameters, return_annotation=_bare(plain.return_annotation))}"


class _Bare(str):
    """An annotation that is shown without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def _bare(annotation: Any) -> Any:
    return _Bare(annotation) if isinstance(annotation, str) else annotation


def offered(hook: str) -> Sequence[str]:
    """Names of the arguments that a hook offers."""
    return tuple(inspect.signature(SPECS[hook]).parameters)


def _implementations(
    manager: pluggy.PluginManager, name: str, plugin: object
) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Each marked function with the name of its hook. Properties and other descriptors are not executed."""
    seen: dict[str, str] = {}
    for attribute in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, attribute)
        if options is None:
            _check_unmarkable(name, plugin, attribute)
            continue
        function = getattr(plugin, attribute)
        hook = options.get("specname") or attribute
        if hook not in SPECS:
            near = get_close_matches(hook, SPECS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"hooks are: {', '.join(sorted(SPECS))}"
            raise PluginError(name, f"{signature(hook, function)}: there is no hook of that name; {hint}")
        for option, why in UNUSED_OPTIONS.items():
            if options.get(option):
                raise PluginError(name, f"{signature(hook, function)}: {option} is not allowed: {why}")
        if hook in seen:
            raise PluginError(name, f"hook {hook}: implemented by both {seen[hook]!r} and {attribute!r}; keep one")
        seen[hook] = attribute
        yield hook, function


def _check_unmarkable(name: str, plugin: object, attribute: str) -> None:
    """A mark on something that is not a function would be passed over in silence."""
    value = inspect.getattr_static(plugin, attribute, None)
    computed = getattr(value, "fget" if isinstance(value, property) else "func", None)
    descriptor = isinstance(value, property | cached_property)
    if _marked(value) or (descriptor and _marked(computed)):
        raise PluginError(name, f"hook {attribute}: is a {type(value).__name__}; hooks must be plain functions")


def _marked(value: object) -> bool:
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return False
    return isinstance(attributes, Mapping) and "grinder_impl" in attributes


def check_synchronous(name: str, shown_as: str, function: Callable[..., Any]) -> None:
    """Refuse what would not answer when it is called.

    Args:
        name: of the plugin.
        shown_as: the function in the message.
        function: what will be called.

    Raises:
        PluginError: it is a coroutine function or a generator.
    """
    for each in (function, inspect.unwrap(function)):
        if inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each):
            raise PluginError(name, f"async {shown_as}: hooks are synchronous; drop the async")
        if inspect.isgeneratorfunction(each):
            raise PluginError(name, f"{shown_as}: is a generator; return the answer, do not yield it")


def _check_arguments(name: str, hook: str, function: Callable[..., Any]) -> None:
    known = offered(hook)
    for parameter in inspect.signature(function).parameters.values():
        problem = _argument_problem(parameter, known)
        if problem:
            offer = f"the hook offers ({', '.join(known)})"
            raise PluginError(name, f"{signature(hook, function)}: {problem}; {offer}")


def _argument_problem(parameter: inspect.Parameter, known: Sequence[str]) -> str:
    if parameter.kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        return f"{parameter} would stay empty: name the arguments"
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
        return f"argument {parameter.name!r} is keyword-only and would not be passed; drop the *"
    if parameter.name not in known:
        near = get_close_matches(parameter.name, known, n=1)
        return f"unknown argument {parameter.name!r}" + (f", did you mean {near[0]!r}?" if near else "")
    if parameter.default is not inspect.Parameter.empty:
        return f"argument {parameter.name!r} is always passed; drop its default"
    return ""


def _settings_model(name: str, found: Mapping[str, Callable[..., Any]]) -> type[PluginSettings]:
    declare = found.get(SETTINGS)
    if declare is None:
        raise PluginError(name, f"hook {SETTINGS}() is missing: every plugin declares its settings")
    try:
        declared = attempt(declare)
    except CrashError as error:
        raise PluginError(name, f"{signature(SETTINGS, declare)}: raised {error}") from error.__cause__
    base = GateSettings if GATE in found else PluginSettings
    return check_model(name, signature(SETTINGS, declare), declared, base)
