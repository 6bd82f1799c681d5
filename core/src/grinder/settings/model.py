"""The settings of core, and how the settings of plugins and exchanges are mounted into them.

``Settings()`` holds the defaults and reads nothing; values from files, the environment and the command line come
through ``grinder.settings.sources``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextvars import ContextVar
from difflib import get_close_matches
from typing import Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, create_model, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from grinder.errors import PluginError
from grinder.settings.groups import (
    EngineSettings,
    ExchangeSettings,
    GatesSettings,
    HostSettings,
    JournalSettings,
    LogSettings,
    MarketSettings,
    MetricsSettings,
    PoliciesSettings,
    RolloutSettings,
    SizingSettings,
    refused,
)
from grinder.settings.plugin import PluginSettings, Section

__all__ = [
    "EngineSettings",
    "ExchangeSettings",
    "ExchangesSettings",
    "GatesSettings",
    "HostSettings",
    "JournalSettings",
    "LogSettings",
    "MarketSettings",
    "MetricsSettings",
    "PluginsSettings",
    "PoliciesSettings",
    "RolloutSettings",
    "Settings",
    "SizingSettings",
    "compose",
]

SOURCES: ContextVar[tuple[PydanticBaseSettingsSource, ...]] = ContextVar("SOURCES", default=())
"""What ``Settings()`` reads besides its arguments, highest first: set by ``Sources.settings`` while it builds."""


class Unloaded(PluginSettings, extra="ignore"):
    """Settings of something that is not loaded: only whether it is enabled counts, the rest is not checked."""


SectionT = TypeVar("SectionT", bound=Section)


class Mounted(Section, extra="allow"):
    """A group whose keys are names of plugins or exchanges. ``INSTALLED`` ones need not be loaded."""

    LOADED: ClassVar[Mapping[str, type[Section]]] = {}
    INSTALLED: ClassVar[frozenset[str]] = frozenset()

    __pydantic_extra__: dict[str, Unloaded] = Field(init=False)

    def get(self, name: str) -> Section:
        """Settings of one that is loaded.

        Raises:
            KeyError: it is not.
        """
        if name not in self.LOADED:
            raise KeyError(name)
        section: Section = getattr(self, name)
        return section

    @classmethod
    def _near(cls, name: str) -> str:
        near = get_close_matches(name, [*cls.LOADED, *cls.INSTALLED], n=1)
        return f"; did you mean {near[0]!r}?" if near else ""


class PluginsSettings(Mounted):
    """Settings of plugins and strategies, each under its name."""

    def get(self, name: str) -> PluginSettings:
        """Settings of a plugin or strategy that is loaded.

        Raises:
            KeyError: it is not.
        """
        section = super().get(name)
        if not isinstance(section, PluginSettings):
            raise KeyError(name)
        return section

    @model_validator(mode="after")
    def _installed_or_disabled(self) -> Self:
        for name, section in (self.__pydantic_extra__ or {}).items():
            disabled = "enabled" in section.model_fields_set and not section.enabled
            if not disabled and name not in self.INSTALLED:
                install = f"pip install grinder-plugin-{name.replace('_', '-')}"
                file = "name the folder of a file of your own with --plugins-dir"
                raise refused(name, f"not installed: {install}, or {file}, or set enabled: false{self._near(name)}")
        return self


class ExchangesSettings(Mounted):
    """Settings of exchange adapters, each under its name."""

    @model_validator(mode="after")
    def _installed(self) -> Self:
        for name in self.__pydantic_extra__ or {}:
            if name not in self.INSTALLED:
                install = f"pip install grinder-exchange-{name.replace('_', '-')}"
                raise refused(name, f"not installed: {install}{self._near(name)}")
        return self


class Settings(BaseSettings):
    """Everything that can be set. Immutable."""

    model_config = SettingsConfigDict(
        **{**Section.model_config, "hide_input_in_errors": True},  # type: ignore[typeddict-item]
    )

    profile: str = Field(default="paper", min_length=1, description="Profile that the other values start from.")
    symbols: tuple[str, ...] = Field(default=(), description="Symbols to trade; empty means those of the recording.")
    strategy: str = Field(
        default="grid",
        min_length=1,
        description="Name from the entry-point group grinder.strategies; see plugins.<name>.",
    )
    gates: GatesSettings = GatesSettings()
    host: HostSettings = HostSettings()
    market: MarketSettings = MarketSettings()
    engine: EngineSettings = EngineSettings()
    sizing: SizingSettings = SizingSettings()
    rollout: RolloutSettings = RolloutSettings()
    exchange: ExchangeSettings = ExchangeSettings()
    exchanges: ExchangesSettings = ExchangesSettings()
    policies: PoliciesSettings = PoliciesSettings()
    journal: JournalSettings = JournalSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()
    plugins: PluginsSettings = PluginsSettings()

    @property
    def live(self) -> bool:
        """Whether a real venue is connected."""
        return self.exchange.mode == "real"

    @property
    def journal_sync(self) -> Literal["process", "power"]:
        """How durable the journal is, ``auto`` resolved."""
        if self.journal.sync == "auto":
            return "power" if self.live else "process"
        return self.journal.sync

    @model_validator(mode="after")
    def _live_is_closed(self) -> Self:
        if self.profile == "live":
            if self.host.plugins_dir is not None:
                raise refused("host.plugins_dir", "profile live loads installed plugins only; leave it out")
            if not self.host.allow:
                raise refused("host.allow", "profile live loads allowed distributions only; name them")
        return self

    @model_validator(mode="after")
    def _one_position_mode(self) -> Self:
        engine, paper = self.engine.position_mode, getattr(self.exchanges, "paper", None)
        own = getattr(paper, "position_mode", None)
        if own not in {None, engine}:
            why = f"{own}, but engine.position_mode is {engine}; leave it out to follow the engine, or set both alike"
            raise refused("exchanges.paper.position_mode", why)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the arguments and, while ``Sources.settings`` builds, its layers; nothing behind the caller's back."""
        return (init_settings, *SOURCES.get())


def compose(
    plugin_models: Mapping[str, type[PluginSettings]],
    exchange_models: Mapping[str, type[Section]],
    installed: Collection[str] = (),
) -> type[Settings]:
    """The model with the settings of loaded plugins and exchanges mounted.

    Args:
        plugin_models: models of plugins and strategies by name, mounted at ``plugins.<name>``.
        exchange_models: models of exchange adapters by name, mounted at ``exchanges.<name>``.
        installed: names of all that is installed; settings of what is not loaded are not checked.

    Raises:
        PluginError: a name cannot be a key of settings.
    """
    return create_model(
        "Settings",
        __base__=Settings,
        __module__=__name__,
        plugins=(_mount(PluginsSettings, plugin_models, installed), Field(default_factory=dict)),
        exchanges=(_mount(ExchangesSettings, exchange_models, installed), Field(default_factory=dict)),
    )


def _mount(base: type[Mounted], models: Mapping[str, type[SectionT]], installed: Collection[str]) -> type[Mounted]:
    for name in models:
        if not name.isidentifier() or name.startswith("_") or hasattr(base, name):
            raise PluginError(name, "the name cannot be a key of settings; the author has to choose another")
    fields: dict[str, Any] = {name: (models[name], Field(default_factory=dict)) for name in sorted(models)}
    mounted = create_model(base.__name__, __base__=base, __module__=__name__, **fields)
    mounted.__doc__ = base.__doc__
    mounted.LOADED = dict(models)
    mounted.INSTALLED = frozenset(installed)
    return mounted
