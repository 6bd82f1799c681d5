"""What ``grinder run`` was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from grinder.errors import ConfigError
from grinder.settings.sources import Sources

SYNTHETIC_NS: Final = 600_000_000_000
"""Length of the embedded synthetic market when no duration is given."""
SYNTHETIC_SYMBOLS: Final = ("BTCUSDT", "ETHUSDT")


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What ``grinder run`` was asked for."""

    profile: str | None = None
    config: Path | None = None
    overrides: tuple[str, ...] = ()
    secrets_dir: Path | None = None
    symbols: tuple[str, ...] = ()
    replay: tuple[Path, ...] = ()
    speed: float = 0.0
    duration: int | None = None
    seed: int = 1
    data_dir: Path | None = None
    resume: bool = False
    out: Path | None = None
    plugins_dir: Path | None = None
    no_plugin: tuple[str, ...] = ()
    metrics_host: str | None = None
    metrics_port: int | None = None
    log_file: Path | None = None
    as_json: bool = False
    tolerant: bool = False

    def sources(self) -> Sources:
        """Settings sources, with the options that stand for settings.

        Raises:
            ConfigError: one cannot be read, or an option names what no setting is called.
        """
        for name in self.no_plugin:
            if not name.isidentifier():
                raise ConfigError(f"--no-plugin {name!r}: there is no such plugin; names are as 'grinder plugins list'")
        overrides = list(self.overrides)
        if self.plugins_dir is not None:
            overrides.append(f"host.plugins_dir={self.plugins_dir}")
        if self.metrics_host is not None:
            overrides.append(f"metrics.host={self.metrics_host}")
        if self.metrics_port is not None:
            overrides.append(f"metrics.port={self.metrics_port}")
        overrides += [f"plugins.{name}.enabled=false" for name in self.no_plugin]
        return Sources.load(profile=self.profile, config=self.config, overrides=overrides, secrets_dir=self.secrets_dir)
