"""Settings models and reason codes that a plugin declares: complete, documented, and closed to unknown keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from grinder.errors import PluginError
from grinder.host.foreign import line
from grinder.settings.plugin import GateSettings, PluginSettings, Section


def check_model(plugin: str, source: str, model: object, base: type[Section]) -> type[Any]:
    """The model itself, if it can be mounted under ``plugins.<name>``.

    Args:
        plugin: name, for the message.
        source: where the model comes from, for the message.
        model: what was declared.
        base: what it must be a subclass of.

    Raises:
        PluginError: it is no such class, admits unknown keys or changes, lacks a description, or names a
            threshold that is no field.
    """
    if not isinstance(model, type) or not issubclass(model, base):
        shown = model.__name__ if isinstance(model, type) else line(f"{type(model).__name__} {model!r}", 100)
        raise PluginError(plugin, f"{source}: was {shown}, must be a subclass of {base.__name__} (the class itself)")
    for path, group in _groups(model, model.__name__):
        if group.model_config.get("extra") != "forbid" or not group.model_config.get("frozen"):
            raise PluginError(plugin, f"{source}: {path} must be frozen and forbid unknown keys; subclass Section")
    for path, field in _fields(model, ""):
        if not (field.description or "").strip():
            raise PluginError(plugin, f"{source}: setting {path!r} of {model.__name__} has no description; add one")
    if issubclass(model, GateSettings) and model.THRESHOLD and model.THRESHOLD not in model.model_fields:
        raise PluginError(plugin, f"{source}: THRESHOLD names {model.THRESHOLD!r}, which is no field of the model")
    return model


def check_reasons(plugin: str, declared: object) -> Mapping[str, str]:
    """A plugin's ``REASONS``, if it is a mapping from code to sentence; None declares none.

    Returns:
        The same with each sentence in one printable line, since it is shown to operators; the rest of one that is
        too long is cut off.

    Raises:
        PluginError: it is something else.
    """
    if declared is None:
        return {}
    if isinstance(declared, Mapping) and all(isinstance(text, str) for row in declared.items() for text in row):
        return {str.__str__(code): line(text) for code, text in declared.items()}
    raise PluginError(plugin, "REASONS must map each reason code to a sentence, like {'SPREAD_WIDE': 'The ...'}")


def own_fields(model: type[Section]) -> dict[str, FieldInfo]:
    """Fields that the plugin added to what core gives every plugin or gate."""
    inherited = GateSettings if issubclass(model, GateSettings) else PluginSettings
    return {name: field for name, field in model.model_fields.items() if name not in inherited.model_fields}


def _nested(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _groups(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    for name, field in model.model_fields.items():
        if (nested := _nested(field)) is not None:
            yield from _groups(nested, f"{path}.{name}")


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        nested = _nested(field)
        if nested is None:
            yield prefix + name, field
        else:
            yield from _fields(nested, f"{prefix}{name}.")
