"""Reads settings from all their sources and puts them together.

Highest first: command line, environment, variables with names of their own, secrets directory, configuration
file, profile, defaults.

Loading has two steps, because plugins say themselves what can be set, and only enabled ones are imported:
``Sources.load`` reads everything untyped, ``enabled_plugins`` says what to import, ``settings`` validates against
the model that ``compose`` made of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from grinder.errors import ConfigError
from grinder.settings import document
from grinder.settings.decode import BOOLEAN, Decoder, boolean, keys_of, looks_secret
from grinder.settings.environment import NAMED, PREFIX, insert_named, named, path_of, variables
from grinder.settings.model import SOURCES, Settings
from grinder.settings.origin import DEFAULT, Layer, Leaf, Origin, Text, Tree, find, insert, keys
from grinder.settings.problems import explain, said

PROFILES: Final = Path(__file__).with_name("profiles")
DEFAULT_PROFILE: Final = "paper"
MAX_SECRET_BYTES: Final = 1 << 16

SettingsT = TypeVar("SettingsT", bound=Settings)
ModelT = TypeVar("ModelT", bound=BaseModel)


class Sources:
    """What all sources say, untyped, each value with its origin."""

    def __init__(self, layers: Sequence[Layer], environ: Mapping[str, str]) -> None:
        self._layers = tuple(layers)
        self._environ = environ

    @classmethod
    def load(
        cls,
        *,
        profile: str | None = None,
        config: Path | None = None,
        overrides: Sequence[str] = (),
        secrets_dir: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Sources:
        """Read every source.

        Args:
            profile: name of a profile; None takes what the other sources say, else ``paper``.
            config: a configuration file; its values hold over the profile's.
            overrides: ``a.b=c`` each, as given to ``--set``.
            secrets_dir: folder of files named like keys or variables, each holding one value.
            environ: the environment; None takes the process's.

        Raises:
            ConfigError: something named does not exist, is broken, or is unknown.
        """
        environ = os.environ if environ is None else environ
        core = tuple(keys_of(Settings))
        layers = [_command_line(overrides, profile), variables(environ, core), named(environ)]
        if secrets_dir is not None:
            layers += _secrets(secrets_dir, core)
        if config is not None:
            layers.append(Layer(document.read(config, "file", str(config), environ)))
        layers.append(_profile(layers, environ))
        return cls(layers, environ)

    @classmethod
    def over(
        cls,
        base: Layer,
        *,
        config: Path | None = None,
        overrides: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> Sources:
        """Settings that are known already, and what is to be changed of them.

        Neither profiles nor variables are looked at, except those that ``config`` names in ``${...}``.

        Args:
            base: what holds where nothing else is said.
            config: a configuration file; its values hold over the base.
            overrides: ``a.b=c`` each, as given to ``--set``; they hold over all.
            environ: the environment; None takes the process's.

        Raises:
            ConfigError: the file is missing or broken, or an override cannot be read.
        """
        environ = os.environ if environ is None else environ
        layers = [_command_line(overrides, None)]
        if config is not None:
            layers.append(Layer(document.read(config, "file", str(config), environ)))
        return cls([*layers, base], environ)

    def enabled_plugins(self) -> tuple[str, ...]:
        """Names of the plugins and strategies that are enabled, sorted.

        Raises:
            ConfigError: an ``enabled`` is not a boolean.
        """
        return tuple(name for name in keys(self._layers, "plugins") if self._enabled(name))

    @property
    def strategy(self) -> str:
        """Name of the strategy; its settings stand among those of plugins, whether or not it is installed."""
        leaf = find(self._layers, ("strategy",))
        value = leaf.value if leaf is not None else Settings.model_fields["strategy"].default
        return value.value if isinstance(value, Text) else str(value)

    def part(self, key: str, model: type[ModelT]) -> ModelT:
        """One top-level group alone, validated: what must be known before plugins are.

        Raises:
            ConfigError: a value of the group does not fit.
        """
        tree: Tree = {}
        for name in keys_of(model):
            leaf = find(self._layers, (key, name))
            if leaf is not None:
                tree[name] = leaf
        decoder = Decoder()
        values = decoder.group(tree, model, (key,))
        return self._validated(lambda: model(**values), model, [decoder], (key,))

    def settings(self, model: type[SettingsT]) -> SettingsT:
        """Validate against a model.

        Raises:
            ConfigError: with a sentence for everything that is wrong.
        """
        decoders = [Decoder(lenient=layer.lenient) for layer in self._layers]
        sources = (_LayerSource(model, *pair) for pair in zip(self._layers, decoders, strict=True))
        token = SOURCES.set(tuple(sources))
        try:
            return self._validated(model, model, decoders, ())
        finally:
            SOURCES.reset(token)

    def origin(self, path: Sequence[str]) -> Origin:
        """Where the value at a path came from."""
        leaf = find(self._layers, path)
        return leaf.origin if leaf else DEFAULT

    def unused(self, settings: Settings) -> list[str]:
        """A sentence for each known variable that is set but changes none of these settings."""
        notes = []
        for name in sorted(NAMED.keys() & self._environ.keys()):
            meaning = NAMED[name]
            group, _, rest = meaning.path.partition(".")
            owner = rest.partition(".")[0]
            mounted = {"plugins": settings.plugins, "exchanges": settings.exchanges}.get(group)
            if not group:
                notes.append(f"{name} is set; it is no setting, but read by {meaning.reader}")
            elif mounted is not None and owner not in mounted.LOADED:
                notes.append(f"{name} is set but not used: {meaning.reader} is not enabled")
        return notes

    def _enabled(self, name: str) -> bool:
        for layer in self._layers:
            plugins = layer.tree.get("plugins")
            plugin = plugins.get(name) if isinstance(plugins, dict) else None
            leaf = plugin.get("enabled") if isinstance(plugin, dict) else None
            if isinstance(leaf, Leaf):
                value = leaf.value.value if isinstance(leaf.value, Text) else leaf.value
                enabled = value if isinstance(value, bool) else boolean(str(value))
                if enabled is None:
                    raise ConfigError(said(leaf.origin, f"plugins.{name}.enabled", BOOLEAN))
                return enabled
        return False

    def _validated(
        self, build: Callable[[], ModelT], model: type[ModelT], decoders: Sequence[Decoder], path: tuple[str, ...]
    ) -> ModelT:
        problems: list[str] = []
        built: ModelT | None = None
        try:
            built = build()
        except ValidationError as error:
            problems = explain(error, model, path, self.origin)
        problems = [problem for decoder in decoders for problem in decoder.problems] + problems
        if problems or built is None:
            secrets = {secret for decoder in decoders for secret in decoder.secrets}
            raise ConfigError(_without(secrets, "\n".join(problems)))
        return built


class _LayerSource(PydanticBaseSettingsSource):
    """One layer, as pydantic-settings merges it with the others."""

    def __init__(self, settings_cls: type[BaseSettings], layer: Layer, decoder: Decoder) -> None:
        super().__init__(settings_cls)
        self._layer = layer
        self._decoder = decoder

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        return None, field_name, False  # values are given whole, by __call__

    def __call__(self) -> dict[str, Any]:
        return self._decoder.group(self._layer.tree, self.settings_cls)


def profiles() -> list[str]:
    """Names of the profiles that core brings."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def _command_line(overrides: Sequence[str], profile: str | None) -> Layer:
    tree: Tree = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        path = key.strip().split(".")
        if not equals or not all(path):
            raise ConfigError(f"--set {key.strip()!r}: write --set KEY=VALUE, such as --set log.level=debug")
        if looks_secret(path[-1]):
            raise ConfigError(
                f"--set {key.strip()}: looks like a secret, and others can read the command line; "
                "use the environment or a secrets directory"
            )
        insert(tree, path, Leaf(Text(value), Origin("command line", key.strip())))
    if profile is not None:
        tree["profile"] = Leaf(profile, Origin("command line", "--profile"))
    return Layer(tree)


def _secrets(folder: Path, core: Sequence[str]) -> list[Layer]:
    """Files named like a key or a variable. Hidden ones are skipped: Kubernetes keeps its own there."""
    strict, lenient = Layer({}), Layer({}, lenient=True)
    try:
        files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ConfigError(f"secrets directory {folder}: {error.strerror}") from None
    groups = {key.partition(".")[0] for key in core}
    for file in files:
        origin = Origin("secrets", str(file))
        value = _secret(file)
        if file.name in NAMED:
            insert_named(lenient.tree, file.name, value, origin)
            continue
        path = path_of(file.name, core) if file.name.startswith(PREFIX) else file.name.split(".")
        if path[0] not in groups or not all(path):
            near = get_close_matches(path[0], sorted(groups), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; name it like exchanges.binance.api_secret"
            raise ConfigError(f"{origin}: no setting has this name{hint}")
        insert(strict.tree, path, Leaf(Text(value), origin))
    return [strict, lenient]


def _secret(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_SECRET_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: not UTF-8") from None
    if len(data) > MAX_SECRET_BYTES:
        raise ConfigError(f"{file}: larger than {MAX_SECRET_BYTES} bytes; a file holds one value")
    return text.rstrip("\r\n")


def _profile(layers: Sequence[Layer], environ: Mapping[str, str]) -> Layer:
    chosen = find(layers, ("profile",))
    value = chosen.value if chosen else DEFAULT_PROFILE
    name = value.value if isinstance(value, Text) else str(value)
    if name not in profiles():
        near = get_close_matches(name, profiles(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(profiles())}"
        where = f"{chosen.origin}: " if chosen else ""
        raise ConfigError(f"{where}unknown profile; {hint}")
    tree = document.read(PROFILES / f"{name}.yaml", "profile", name, environ)
    tree.setdefault("profile", Leaf(name, Origin("profile", name)))
    return Layer(tree)


def _without(secrets: set[str], text: str) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, "**********")
    return text
