"""The settings of core, and how the settings of plugins and exchanges are mounted into them.

``Settings()`` holds the defaults and reads nothing; values from files, the environment and the command line come
through ``grinder.settings.sources``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextvars import ContextVar
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, create_model, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from grinder.errors import PluginError
from grinder.settings.plugin import PluginSettings, Section

SOURCES: ContextVar[tuple[PydanticBaseSettingsSource, ...]] = ContextVar("SOURCES", default=())
"""What ``Settings()`` reads besides its arguments, highest first: set by ``Sources.settings`` while it builds."""


class GatesSettings(Section):
    """The gate chain."""

    order: tuple[str, ...] = Field(
        default=(), description="Gates and threshold resolvers that go first, in this order; the rest follow by name."
    )
    evaluate: Literal["all", "first_block"] = Field(
        default="all", description="Ask every gate, so that the record is complete, or stop at the first block."
    )


class HostSettings(Section):
    """Which plugins may be loaded, and which must be."""

    allow: tuple[str, ...] = Field(
        default=(), description="Distributions or plugins that may load; empty means every installed one."
    )
    deny: tuple[str, ...] = Field(default=(), description="Distributions or plugins that must not load.")
    essential: tuple[str, ...] = Field(
        default=(), description="Plugins without which nothing starts: missing, disabled or failed ones refuse the start."
    )
    plugins_dir: Path | None = Field(
        default=None, description="Folder with plugin modules that are not installed; never in profile live."
    )


class MarketSettings(Section):
    """Market data."""

    stale_ms: int = Field(
        default=5000, ge=1, description="A symbol's market is stale when nothing arrived for this long, in ms."
    )


class EngineSettings(Section):
    """The order path."""

    decision_ttl_ms: int = Field(
        default=1000, ge=1, description="A decision older than this when it could be sent is made again, in ms."
    )
    max_in_flight: int = Field(
        default=50, ge=1, description="New risk is blocked while this many orders wait for an answer (UNKNOWN included)."
    )
    visibility_lag_ms: int = Field(
        default=5000, ge=0, description="Least time between two proofs that the venue never had an order, in ms."
    )
    watchdog_s: float = Field(
        default=10.0, ge=0, description="End the process when the loop stands still this long, in seconds; 0 is off."
    )
    position_mode: Literal["one_way", "hedge"] = Field(
        default="one_way", description="One net position per symbol, or a long and a short one."
    )
    order_memory: int = Field(
        default=10_000, ge=100, description="Final orders kept in memory; older ones are looked up in the journal."
    )


class SizingSettings(Section):
    """How a wanted notional becomes a quantity. Orders are dropped, never inflated, to satisfy a venue's minimum."""

    leverage: Decimal = Field(default=Decimal(10), gt=0, le=200, description="Free balance times this may be used.")
    notional_cap_usd: Decimal = Field(default=Decimal(20_000), gt=0, description="Largest notional of one order.")
    use_all_in: bool = Field(
        default=False, description="Use min(cap, free balance x leverage) instead of the notional the strategy wants."
    )
    min_free_balance_usd: Decimal = Field(
        default=Decimal(200), ge=0, description="No new risk while the free balance is below this."
    )
    lot_size_rounding: Literal["floor"] = Field(
        default="floor", description="Quantities are rounded down to the lot size; other ways would inflate them."
    )

    @field_validator("lot_size_rounding", mode="before")
    @classmethod
    def _never_inflate(cls, value: object) -> object:
        if value in ("round", "ceil"):
            raise ValueError(f"{value!r} can inflate an order above what was decided; only 'floor' is supported")
        return value


class RolloutSettings(Section):
    """Which part of the orders that add risk goes to the real venue."""

    mode: Literal["disabled", "canary", "full"] = Field(
        default="disabled", description="disabled: all to paper; canary: the hashed fraction to the venue; full: all."
    )
    canary_fraction: float = Field(default=0.10, ge=0, le=1, description="Share of orders that canary sends to the venue.")
    rng_seed: int = Field(default=1337, description="Seed of the hash that picks the canary's orders.")


class ExchangeSettings(Section):
    """The venue, and how orders are sent to it."""

    mode: Literal["paper", "real"] = Field(
        default="paper", description="Whether a real venue is connected at all; rollout.mode decides what goes there."
    )
    venue: str = Field(default="paper", min_length=1, description="Name of an exchange adapter; bybit_v5 means bybit.")
    maker_only: bool = Field(default=False, description="Refuse orders that would take liquidity.")
    post_only: bool = Field(default=False, description="Send limit orders as post-only where the venue can.")
    reduce_only: bool = Field(
        default=True, description="Reducing orders carry the venue's reduce-only flag; entries are not affected."
    )

    @field_validator("venue", mode="before")
    @classmethod
    def _one_name_per_venue(cls, value: object) -> object:
        return "bybit" if value == "bybit_v5" else value

    @model_validator(mode="after")
    def _real_needs_a_venue(self) -> Self:
        if self.mode == "real" and self.venue == "paper":
            raise ValueError("mode is real but the venue is paper; name the venue (EXCHANGE_VENUE or exchange.venue)")
        return self


class PoliciesSettings(Section):
    """Names of policies, from the entry-point group grinder.policies."""

    admission: str = Field(default="standard", min_length=1, description="Combines the gates' verdicts into one.")
    sizing: str = Field(default="standard", min_length=1, description="Turns a wanted notional into a quantity.")
    routing: str = Field(default="standard", min_length=1, description="Chooses paper or the real venue.")


class JournalSettings(Section):
    """The journal: intents, decisions, orders and fills on disk."""

    sync: Literal["auto", "process", "power"] = Field(
        default="auto", description="Survive a crash of the process, or of the machine; auto is power when real."
    )


class MetricsSettings(Section):
    """Where /metrics, /healthz and /readyz are served."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(default=9090, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")


class LogSettings(Section):
    """The log."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least severity written.")
    json_lines: bool = Field(default=False, alias="json", description="Write one JSON object a line.")


class Unloaded(PluginSettings, extra="allow"):
    """Settings of something that is not loaded: kept, not checked, and never shown."""

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        yield "enabled", self.enabled


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

    @model_validator(mode="after")
    def _installed_or_disabled(self) -> Self:
        for name, section in (self.__pydantic_extra__ or {}).items():
            silent = "enabled" not in section.model_fields_set and name not in self.INSTALLED
            if section.enabled or silent:
                raise PydanticCustomError(
                    "not_installed",
                    "plugin '{key}' is not installed: pip install grinder-plugin-{dist}, "
                    "or set plugins.{key}.enabled: false{near}",
                    {"key": name, "dist": name.replace("_", "-"), "near": self._near(name)},
                )
        return self


class ExchangesSettings(Mounted):
    """Settings of exchange adapters, each under its name."""

    @model_validator(mode="after")
    def _installed(self) -> Self:
        for name in self.__pydantic_extra__ or {}:
            if name not in self.INSTALLED:
                raise PydanticCustomError(
                    "not_installed",
                    "exchange '{key}' is not installed: pip install grinder-exchange-{dist}{near}",
                    {"key": name, "dist": name.replace("_", "-"), "near": self._near(name)},
                )
        return self


class Settings(BaseSettings):
    """Everything that can be set. Immutable."""

    model_config = SettingsConfigDict(
        **{**Section.model_config, "hide_input_in_errors": True},  # type: ignore[typeddict-item]
    )

    profile: str = Field(default="paper", min_length=1, description="Profile that the other values start from.")
    symbols: tuple[str, ...] = Field(default=(), description="Symbols to trade; empty means those of the recording.")
    strategy: str = Field(
        default="grid", min_length=1, description="Name from the entry-point group grinder.strategies; see plugins.<name>."
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
                raise ValueError("profile live loads installed plugins only; remove host.plugins_dir")
            if not self.host.allow:
                raise ValueError("profile live loads allowed plugins only; name them in host.allow")
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
        installed: names of installed plugins and exchanges that are not loaded; their settings are not checked.

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


def _mount(
    base: type[Mounted], models: Mapping[str, type[SectionT]], installed: Collection[str]
) -> type[Mounted]:
    for name in models:
        if not name.isidentifier() or name.startswith("_") or hasattr(base, name):
            raise PluginError(name, "the name cannot be a key of settings; the author has to choose another")
    fields: dict[str, Any] = {name: (models[name], Field(default_factory=dict)) for name in sorted(models)}
    mounted = create_model(base.__name__, __base__=base, __module__=__name__, **fields)
    mounted.__doc__ = base.__doc__
    mounted.LOADED = dict(models)
    mounted.INSTALLED = frozenset(installed)
    return mounted
