"""What one installed thing offers, for ``grinder plugins show``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

import msgspec
from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_jsonable_python

from grinder.errors import ConfigError, PluginError
from grinder.evidence.text import table
from grinder.host.discovery import (
    EXCHANGES,
    PLUGINS,
    POLICIES,
    STRATEGIES,
    PluginRecord,
    PluginState,
    decide,
    discover,
)
from grinder.host.judging import NAME as JUDGE
from grinder.host.loading import EXTENSION_PARTS, api_range, load_extension
from grinder.host.manager import Host
from grinder.host.signatures import GATE, shown, signature
from grinder.reasons import ReasonRegistry
from grinder.settings.model import Settings

GROUPS: Final = (PLUGINS, STRATEGIES, EXCHANGES, POLICIES)


def details_of(name: str, core: Settings) -> dict[str, Any]:
    """Settings, reason codes and hooks of what is called ``name``, the first found in the order of ``GROUPS``.

    It is imported for that, also when it is not enabled.

    Args:
        name: of a plugin, strategy, exchange or policy.
        core: settings of core, for the rules about what may load.

    Raises:
        ConfigError: nothing is called so, or it is denied or refused.
    """
    rules = {"allow": core.host.allow, "deny": core.host.deny}
    known: list[str] = []
    for group in GROUPS:
        records = discover(group, core.host.plugins_dir)
        known += [record.name for record in records]
        record = next((record for record in records if record.name == name), None)
        if record is None:
            continue
        if group == PLUGINS:
            return _plugin_details(name, records, rules)
        module = load_extension(group, name, records=records, **rules)
        functions = {part: getattr(module, part) for part in EXTENSION_PARTS[group] if part != "Settings"}
        known_api = msgspec.structs.replace(record, api=api_range(module))
        return _described(known_api, getattr(module, "Settings", None), {}, functions)
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(f"nothing that is installed is called {name!r}{hint} 'grinder plugins list --all' shows what is")


def _plugin_details(name: str, records: Sequence[PluginRecord], rules: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    reasons = ReasonRegistry()
    mine = decide([record for record in records if record.name == name], [name], **rules)
    for record in mine:
        if record.state is not PluginState.ENABLED:
            raise PluginError(name, f"it is {record.state}: {record.reason}")
    host = Host.load(mine, [name], reasons=reasons)
    codes = {code: reasons.meaning(code) for code in sorted(reasons.owned_by(name))}
    details = _described(host.records[0], host.models()[name], codes, host.hooks(name))
    judge = host.judge(name)
    return details | {"judge": shown(JUDGE, judge) if judge is not None else ""}


def _described(
    record: PluginRecord, model: type[BaseModel] | None, reasons: Mapping[str, str], functions: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "name": record.name,
        "group": record.group,
        "distribution": record.distribution or record.target,
        "version": record.version,
        "api": record.api,
        "settings": list(_setting_rows(model, None, "")) if model is not None else [],
        "reasons": dict(reasons),
        "hooks": {name: signature(name, function).removeprefix("hook ") for name, function in functions.items()},
    }


def _setting_rows(model: type[BaseModel], values: BaseModel | None, prefix: str) -> Iterable[dict[str, Any]]:
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        default = getattr(values, name) if values is not None else field.get_default(call_default_factory=True)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _setting_rows(field.annotation, default if isinstance(default, BaseModel) else None, f"{key}.")
        else:
            required = default is PydanticUndefined
            plain = None if required else to_jsonable_python(default)
            yield {"key": key, "default": plain, "required": required, "description": field.description or ""}


def as_text(details: Mapping[str, Any]) -> str:
    """The details as tables."""
    head = f"{details['name']}  {details['distribution']} {details['version']}  {details['group']}"
    parts = [head.rstrip() + (f"  API {details['api']}" if details["api"] else "")]
    if details["settings"]:
        rows = [
            [row["key"], "(required)" if row["required"] else json.dumps(row["default"]), row["description"]]
            for row in details["settings"]
        ]
        parts.append(_table(("setting", "default", "description"), rows))
    if details["reasons"]:
        parts.append(_table(("reason", "meaning"), [list(row) for row in details["reasons"].items()]))
    parts.append("\n".join(["hooks" if details["group"] == PLUGINS else "functions", *details["hooks"].values()]))
    if GATE in details["hooks"]:
        parts.append("judge\n" + (details["judge"] or "none: grinder whatif keeps the answers that were recorded"))
    return "\n\n".join(parts)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(table(header, rows, 0))


def cell(value: object) -> str:
    """A value in one line; ``-`` where there is none."""
    text = ",".join(value) if isinstance(value, tuple) else str(value or "-")
    return " ".join((text or "-").split())
