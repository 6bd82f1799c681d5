"""Cases about what a plugin declares: hooks, hints, versions, names, settings, reasons, imports."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticUserError

from grinder.decisions import Mode
from grinder.errors import GrinderError, PluginError
from grinder.host.discovery import (
    DISTRIBUTION_PREFIX,
    NAME,
    PLUGINS,
    RESERVED,
    SETTINGS_KEY_GROUPS,
    SHIPPED,
    PluginRecord,
    PluginState,
    discover,
)
from grinder.host.foreign import SHOWN, CrashError, attempt
from grinder.host.hints import contradiction
from grinder.host.hookspecs import HOOK_API
from grinder.host.loading import EXTENSION_PARTS, api_range, check_api, declaration, import_record
from grinder.host.models import check_model, check_reasons, own_fields
from grinder.host.signatures import GATE, SETTINGS, SPECS, check_hooks, signature
from grinder.reasons import ReasonRegistry
from grinder.settings.model import compose
from grinder.settings.plugin import GateSettings, PluginSettings, Section
from grinder.testing.results import Failed, Skipped
from grinder.testing.subject import Subject

PUBLIC: Final = frozenset(("grinder", "grinder.reconcile.config"))
"""Modules of core that plugins may import."""

MENTION: Final = re.compile(r"\bplugins\.(\w+)(?:\.(\w+))?")


def hooks(subject: Subject) -> str:
    """It implements hooks that exist, with arguments that they offer, as plain functions.

    A strategy has ``Settings`` and ``create`` instead.

    Mend: the message names the function; the reference of hooks has each with its arguments.
    """
    if subject.strategy:
        for part in EXTENSION_PARTS[subject.target.group]:
            if not hasattr(subject.plugin, part):
                raise Failed(f"it has no {part}")
        return "Settings and create are there"
    try:
        found = check_hooks(subject.manager, subject.name, subject.plugin)
    except PluginError as error:
        raise Failed(str(error)) from None
    if SETTINGS not in found:
        raise Failed(f"hook {SETTINGS}() is missing: every plugin declares its settings")
    if found.keys() == {SETTINGS}:
        raise Failed("it implements no hook but register_settings, so it does nothing")
    return ", ".join(found)


def hints(subject: Subject) -> str:
    """The type hints of its hooks agree with what each hook passes and expects back.

    Mend: use the types of the hook's specification; the settings argument takes your own settings class.
    """
    model = subject.model if subject.model is not None and issubclass(subject.model, PluginSettings) else None
    known = {name: function for name, function in subject.marked.items() if name in SPECS}
    for name, function in known.items():
        try:
            problem = contradiction(function, SPECS[name], model)
        except KeyError as error:
            raise Skipped(f"{name} asks for {error}, which the hook does not offer: see GC01") from None
        if problem:
            raise Failed(f"{signature(name, function)}: {problem}")
    return f"{len(known)} hooks" if known else "it has no hooks"


def api(subject: Subject) -> str:
    """It declares in ``GRINDER_API`` the range of hook versions that it was written for, and this grinder is in it.

    Mend: set ``GRINDER_API = ">=1.0,<2"`` beside the hooks, or install the version of the plugin that fits.
    """
    if not (subject.strategy or subject.marked):
        raise Skipped("it has no hooks")
    try:
        declared = api_range(subject.plugin)
        if not declared:
            raise Failed("it declares no GRINDER_API, so that a grinder of another version would load it")
        check_api(PluginRecord(group=PLUGINS, name=subject.name, target="", distribution="it"), subject.plugin)
    except PluginError as error:
        raise Failed(str(error)) from None
    return f"{declared} has {HOOK_API}"


def name(subject: Subject) -> str:
    """Its name is lower-case snake case, claimed once, and every ``plugins.<name>`` that it mentions is its own.

    The name of the entry point is the key of its settings, so what its texts call ``plugins.<name>.<field>`` must be
    there.

    Mend: rename the entry point, or correct the text.
    """
    own = subject.name
    if not NAME.fullmatch(own) or own in RESERVED:
        raise Failed(f"the name {own!r} is reserved or not lower-case snake case, like near_liq")
    usual = DISTRIBUTION_PREFIX.get(subject.target.group, "") + own.replace("_", "-")
    claims = _claims(subject)
    if len(claims) > 1:
        raise Failed(f"{' and '.join(claims)} claim the name {own!r}, so that neither loads")
    if own in SHIPPED and subject.target.source.partition(" ")[0] != usual:
        raise Failed(f"{own!r} is the name of a plugin of grinder's own, which it cannot be installed beside")
    for where, text in _texts(subject):
        for other, field in MENTION.findall(text):
            if other != own:
                raise Failed(f"{where} mentions plugins.{other}, but its settings are under plugins.{own}")
            if field and subject.model is not None and field not in subject.model.model_fields:
                raise Failed(f"{where} mentions plugins.{own}.{field}, which is no setting of it")
    if not subject.target.source:
        return f"{own}, announced by no distribution"
    return f"{own}, from {subject.target.source}" + ("" if usual in subject.target.source else f" (usual: {usual})")


def settings(subject: Subject) -> str:
    """Its settings are one frozen model that refuses unknown keys, and every field says what it means.

    Mend: subclass GateSettings (a gate) or PluginSettings, and give each field ``Field(description=...)``.
    """
    base: type[Section] = GateSettings if GATE in subject.marked else PluginSettings
    if subject.strategy:
        declared: object = getattr(subject.plugin, "Settings", None)
    elif SETTINGS not in subject.marked:
        raise Skipped("it declares no settings: see GC01")
    else:
        declared = subject.marked[SETTINGS]()
    try:
        model = check_model(subject.name, "settings", declared, base)
    except PluginError as error:
        raise Failed(str(error)) from None
    return f"{model.__name__}, {len(own_fields(model))} fields of its own"


def defaults(subject: Subject) -> str:
    """Its defaults are valid settings, and with them it is off and, once it is on, in shadow.

    Mend: give every field a default; leave enabled and mode as GateSettings and PluginSettings have them.
    """
    model = _model(subject)
    try:
        made = model()
    except ValidationError as error:
        what = error.errors()[0]
        raise Failed(f"{'.'.join(map(str, what['loc'])) or model.__name__}: {what['msg']}") from None
    if getattr(made, "enabled", False):
        raise Failed("enabled is true by default: installing it would switch it on")
    if getattr(made, "mode", Mode.SHADOW) == Mode.ENFORCE:
        raise Failed("mode is enforce by default: it would block before anybody has watched it")
    return "off, then " + (str(made.mode) if isinstance(made, GateSettings) else "on")


def schema(subject: Subject) -> str:
    """Its settings mount under ``plugins.<name>`` and have a JSON schema.

    Mend: use types that pydantic can describe (numbers, text, enums, tuples of them).
    """
    model = _model(subject)
    if not issubclass(model, PluginSettings):
        raise Skipped("its settings are no PluginSettings: see GC05")
    try:
        made = compose({subject.name: model}, {}).model_json_schema()
    except (GrinderError, PydanticUserError, TypeError, ValueError) as error:
        raise Failed(f"{type(error).__name__}: {str(error).splitlines()[0]}") from None
    return f"{len(made.get('$defs', {}))} definitions"


def read(subject: Subject) -> str:
    """Each setting of its own is read somewhere in its source, so that changing it changes something.

    Mend: use the setting, or take it out.
    """
    model = _model(subject)
    own = own_fields(model) if issubclass(model, Section) else {}
    if not own:
        return "it has no settings of its own"
    used: set[str] = set()
    for path, text in subject.sources():
        try:
            used |= set(_used(ast.parse(text)))
        except SyntaxError as error:
            raise Skipped(f"{path} cannot be parsed: {error}") from None
    unread = sorted(own.keys() - used)
    if unread and not used & {"model_dump", "getattr", "__dict__", "vars", "model_fields"}:
        raise Failed(f"nothing reads {', '.join(unread)}")
    return ", ".join(own)


def reasons(subject: Subject) -> str:
    """``REASONS`` maps each code, upper-case snake case and nobody else's, to a sentence in one printable line.

    Nobody else's means neither core's nor that of a plugin that is installed here.

    Mend: ``REASONS = {"SPREAD_WIDE": "The spread is above plugins.<name>.max_spread_bps."}``
    """
    try:
        raw: Any = declaration(subject.plugin, "REASONS")
        declared = check_reasons(subject.name, raw)
        ReasonRegistry().extend(subject.name, declared)
    except PluginError as error:
        raise Failed(str(error)) from None
    for code, sentence in declared.items():
        if sentence != raw[code]:
            raise Failed(f"the sentence of {code} is no printable line of at most {SHOWN} characters: {sentence:.80}")
    for other, taken in _taken(subject):
        if code := next(iter(sorted(taken & declared.keys())), ""):
            raise Failed(f"{code} belongs to plugin {other!r}, which is installed here")
    return ", ".join(declared) or "it declares none"


def imports(subject: Subject) -> str:
    """Of grinder it imports the public names only, and nothing that is for tests.

    Mend: use ``from grinder import ...``; what is not there is not for plugins, and may change without notice.
    """
    count = 0
    for path, text in subject.sources():
        count += 1
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            raise Skipped(f"{path} cannot be parsed: {error}") from None
        for line, module in _imported(tree):
            if module.partition(".")[0] == "grinder" and module not in PUBLIC:
                raise Failed(f"{path}, line {line}: imports {module}")
    return f"{count} files"


def _claims(subject: Subject) -> list[str]:
    """Who announces the name: what is installed, and what is looked at where that is something else."""
    records = [each for group in SETTINGS_KEY_GROUPS for each in discover(group) if each.name == subject.name]
    target = subject.target
    project, where, _ = target.source.partition(" in ")
    found = [record.source for record in records if not where or record.distribution != project]
    return [*found, *([target.source or target.file or target.module] if where or not target.source else ())]


def _taken(subject: Subject) -> Iterator[tuple[str, frozenset[str]]]:
    """Reason codes of each other plugin that is installed; of one that cannot be imported nothing is known."""
    for record in discover(PLUGINS):
        if record.name == subject.name or record.state is PluginState.REFUSED:
            continue
        with suppress(PluginError, CrashError):
            loaded = import_record(record)
            yield record.name, frozenset(check_reasons(record.name, attempt(declaration, loaded, "REASONS")))


def _model(subject: Subject) -> type[BaseModel]:
    if subject.model is None:
        raise Skipped("it declares no settings that can be used: see GC05")
    return subject.model


def _texts(subject: Subject) -> Iterator[tuple[str, str]]:
    """Everything that it says to operators."""
    declared: Any = declaration(subject.plugin, "REASONS")
    if isinstance(declared, dict):
        yield from ((f"reason {code}", str(text)) for code, text in declared.items())
    if subject.model is not None:
        for field, info in subject.model.model_fields.items():
            yield f"the description of {field}", info.description or ""


def _used(tree: ast.AST) -> Iterator[str]:
    """Names of attributes, arguments by keyword and texts; not those that a class body only declares."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id


def _imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = {alias.name for alias in node.names}
            yield node.lineno, "grinder.testing" if node.module == "grinder" and "testing" in names else node.module
