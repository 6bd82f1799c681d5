"""Every setting of core and of the members that are shipped: key, values, default, description."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from generator.markdown import code, first_line, page, prose, table
from generator.members import Member, members
from grinder.host.discovery import EXCHANGES, PLUGINS, STRATEGIES
from grinder.host.signatures import SETTINGS
from grinder.settings.decode import group_of
from grinder.settings.model import Settings
from grinder.settings.plugin import GateSettings, PluginSettings

HEADER = ("setting", "values", "default", "meaning")
WORDS = {bool: "true, false", int: "integer", float: "number", Decimal: "number", str: "text", Path: "path"}
SIGNS = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<"}

INTRO = """
Where values come from, highest first: `--set a.b=c` on the command line, the environment (`GRINDER_A__B`, see
[environment variables](environment.md)), the secrets directory, the file given with `--config`, the profile, the
defaults below. An unknown key is an error everywhere, with the nearest valid key in the message.

`grinder config show --origin` prints every value and where it came from; `grinder config check` validates without
starting; `grinder config schema` prints the JSON schema with the settings of everything that is installed.
"""

GATE = """
Settings of a gate stand under `plugins.<name>`. Beside its own fields each gate has these (a gate may choose other
defaults, which are then listed with its own fields).
"""

PROFILES = """
## Profiles

What the three profiles that come with grinder set. Everything else has its default.

### paper

```{literalinclude} ../../core/src/grinder/settings/profiles/paper.yaml
:language: yaml
```

### testnet

```{literalinclude} ../../core/src/grinder/settings/profiles/testnet.yaml
:language: yaml
```

### live

```{literalinclude} ../../core/src/grinder/settings/profiles/live.yaml
:language: yaml
```
"""


def build() -> str:
    """The page."""
    return page("Settings", INTRO, *_core(), _gates(), *map(_member, _mounted()), PROFILES)


def _core() -> Iterator[str]:
    top = {name: field for name, field in Settings.model_fields.items() if group_of(field.annotation) is None}
    yield "## Top level\n\n" + table(HEADER, (_row(key, field) for key, field in top.items()))
    for name, field in Settings.model_fields.items():
        group = group_of(field.annotation)
        if group is not None and name not in ("plugins", "exchanges"):
            yield f"## {name}\n\n{first_line(group.__doc__)}\n\n" + table(HEADER, rows(group, f"{name}."))


def _gates() -> str:
    return f"## Every gate\n\n{GATE.strip()}\n\n" + table(HEADER, rows(GateSettings, "plugins.<name>."))


def _mounted() -> Iterator[Member]:
    return (member for group in (PLUGINS, STRATEGIES, EXCHANGES) for member in members(group))


def _member(member: Member) -> str:
    key = "exchanges" if member.group == EXCHANGES else "plugins"
    model = getattr(member.load(), SETTINGS)() if member.group == PLUGINS else member.load().Settings
    base = next((base for base in (GateSettings, PluginSettings) if issubclass(model, base)), None)
    common = set(rows(base, "")) if base is GateSettings else set()
    own = [row for row in rows(model, "") if row not in common]
    title = f"## {key}.{member.name}\n\n{first_line(model.__doc__)} From `{member.distribution}`."
    if base is GateSettings:
        title += " Beside these it has what [every gate](#every-gate) has."
        if model.THRESHOLD:
            title += f" Its threshold is `{model.THRESHOLD}`, which a plugin may resolve for each symbol."
    return f"{title}\n\n" + table(HEADER, ((f"`{key}.{member.name}.{r[0].strip('`')}`", *r[1:]) for r in own))


def rows(model: type[BaseModel] | None, prefix: str, values: BaseModel | None = None) -> Iterator[tuple[str, ...]]:
    """A row for each field of a model, groups in it resolved."""
    for name, field in model.model_fields.items() if model is not None else ():
        key = prefix + (field.alias or name)
        default = getattr(values, name) if values is not None else field.get_default(call_default_factory=True)
        nested = group_of(field.annotation)
        if nested is not None:
            yield from rows(nested, f"{key}.", default if isinstance(default, nested) else None)
        else:
            yield _row(key, field, default)


def _row(key: str, field: FieldInfo, default: Any = ...) -> tuple[str, ...]:
    value = to_jsonable_python(field.get_default(call_default_factory=True) if default is ... else default)
    shown = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"`{key}`", takes(field), code(shown), prose(field.description or "")


def takes(field: FieldInfo) -> str:
    """What a field takes, in a few words."""
    signs = {sign: getattr(each, attribute) for each in field.metadata
             for kind, sign, attribute in _BOUNDS if isinstance(each, kind)}  # fmt: skip
    return " ".join([_kind(field.annotation), *(f"{sign} {bound:,}" for sign, bound in signs.items())])


_BOUNDS = tuple((kind, sign, kind.__name__.lower()) for kind, sign in SIGNS.items())


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(code(each) for each in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return ", ".join(code(each.value) for each in annotation)
    if get_origin(annotation) is tuple:
        return "list"
    parts = [each for each in get_args(annotation) if each is not type(None)]
    return _kind(parts[0]) if parts else WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))
