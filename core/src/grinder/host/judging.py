"""``judge``: a gate's answer from what it recorded. Checked like the hooks when the plugin is registered."""

# mypy: disable-error-code="empty-body"
from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from grinder.decisions import Input, Verdict
from grinder.errors import PluginError
from grinder.host.hints import contradiction
from grinder.host.signatures import check_synchronous, shown
from grinder.settings.plugin import GateSettings, PluginSettings

Judge: TypeAlias = Callable[[Mapping[str, Input], Any], Verdict]

NAME: Final = "judge"
PARAMETERS: Final = ("inputs", "settings")


def judge(inputs: Mapping[str, Input], settings: GateSettings) -> Verdict:
    """Answer again for an order from what the gate recorded of it and from settings.

    Effect: none on trading. ``grinder whatif`` calls it for recorded decisions to see what other settings would have
        answered. A gate that calls it itself, with the inputs that it records, cannot answer differently.
    When: whenever a recorded decision is judged anew.
    Arguments: ``inputs`` what the gate recorded; numbers, text, booleans and null come back as they were, a
        ``Decimal`` as text; ``settings`` the plugin's settings for the symbol, threshold resolved.
    Return: what the gate would have answered. What ``inputs`` depends on and settings can change, such as how
        much of the book was added up, it cannot judge: a setting that it never reads counts as not judged.
    Isolation: an exception, a wrong type or an undeclared reason is counted, and the recorded answer stays. Must be
        pure: nothing but its two arguments, no I/O, no clock, no memory.
    Version: since 1.0.
    """


def check_judge(plugin: str, found: object, model: type[PluginSettings]) -> Judge | None:
    """A gate's ``judge``, if it is a plain function of exactly ``inputs`` and ``settings``; None declares none.

    Args:
        plugin: name, for the message.
        found: what the plugin declares.
        model: the plugin's settings class.

    Raises:
        PluginError: it is something else, with the signature in the message.
    """
    if found is None:
        return None
    if not inspect.isroutine(found):
        kind = "a class" if inspect.isclass(found) else type(found).__name__
        raise PluginError(plugin, f"judge: was {kind}, must be a plain function judge(inputs, settings) or left out")
    signature = shown(NAME, found)
    check_synchronous(plugin, signature, found)
    if problem := _parameter_problem(found):
        raise PluginError(plugin, f"{signature}: {problem}; it must be judge(inputs, settings)")
    if problem := contradiction(found, judge, model):
        raise PluginError(plugin, f"{signature}: {problem.replace('the hook', 'grinder')}")
    return found


def _parameter_problem(function: Callable[..., Any]) -> str:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return "its parameters cannot be read"
    for parameter in parameters:
        if parameter.kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
            return f"{parameter} would stay empty"
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            return f"parameter {parameter.name!r} is keyword-only and would not be passed"
        if parameter.default is not inspect.Parameter.empty:
            return f"parameter {parameter.name!r} is always passed; drop its default"
    names = tuple(parameter.name for parameter in parameters)
    return "" if names == PARAMETERS else f"its parameters are ({', '.join(names)})"
