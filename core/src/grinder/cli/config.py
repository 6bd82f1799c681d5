"""``grinder config``: show, check and describe settings. Also what every command uses to read them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from grinder.cli.output import say, say_json
from grinder.engine.plugins import load
from grinder.evidence.text import table
from grinder.host.discovery import EXCHANGES, PLUGINS, STRATEGIES, discover
from grinder.host.loading import load_extension
from grinder.host.manager import Host
from grinder.reasons import ReasonRegistry
from grinder.settings.model import compose
from grinder.settings.report import fingerprint, flatten
from grinder.settings.sources import Sources, profiles

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def settings_options(command: CommandT) -> CommandT:
    """Give a command the options that say where settings come from; ``read_sources`` takes them."""
    options = (
        click.option("--profile", metavar="NAME", help=f"Profile to start from: {', '.join(profiles())}."),
        click.option("--config", "config_file", type=click.Path(path_type=Path), help="YAML file over the profile."),
        click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Set one key; may be repeated."),
        click.option("--secrets-dir", type=click.Path(path_type=Path), help="Folder with a file for each secret."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def read_sources(
    profile: str | None, config_file: Path | None, overrides: tuple[str, ...], secrets_dir: Path | None
) -> Sources:
    """Read every source, untyped.

    Raises:
        ConfigError: something named does not exist, is broken, or is unknown.
    """
    return Sources.load(profile=profile, config=config_file, overrides=overrides, secrets_dir=secrets_dir)


def schema() -> dict[str, Any]:
    """JSON schema (2020-12) of settings, with everything that is installed mounted.

    Raises:
        ConfigError: something installed cannot be loaded.
    """
    records = discover(PLUGINS)
    models = Host.load(records, {record.name for record in records}, reasons=ReasonRegistry()).models()
    for record in discover(STRATEGIES):
        models[record.name] = load_extension(STRATEGIES, record.name).Settings
    venues = {record.name: load_extension(EXCHANGES, record.name).Settings for record in discover(EXCHANGES)}
    described = compose(models, venues).model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **described, "title": "grinder settings"}


@click.group()
def config() -> None:
    """Show, check and describe settings."""


@config.command()
@settings_options
@click.option("--origin", is_flag=True, help="Also say where each value comes from.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(origin: bool, as_json: bool, **options: Any) -> None:
    """Print the resolved settings, secrets hidden."""
    sources = read_sources(**options)
    settings = load(sources).settings
    resolved = [(row.key, row.shown, str(sources.origin(row.path))) for row in flatten(settings)]
    if as_json:
        values = {key: {"value": shown, "origin": source} if origin else shown for key, shown, source in resolved}
        say_json(json.dumps(values, indent=2, ensure_ascii=False))
    else:
        rows = [(key, _one_line(shown), *((source,) if origin else ())) for key, shown, source in resolved]
        header = ("key", "value", "origin") if origin else ("key", "value")
        say("\n".join(table(header, rows, 0)))
    for note in sources.unused(settings):
        say(f"note: {note}", err=True)


@config.command()
@settings_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(as_json: bool, **options: Any) -> None:
    """Validate everything that can be known without starting; exit code 2 when something is wrong."""
    sources = read_sources(**options)
    settings = load(sources).settings
    digest = fingerprint(settings)
    enabled = list(sources.enabled_plugins())
    if as_json:
        say_json(json.dumps({"ok": True, "profile": settings.profile, "plugins": enabled, "settings_sha256": digest}))
    else:
        say(f"ok: profile {settings.profile}, plugins {', '.join(enabled)}, settings_sha256 {digest}")


@config.command("schema")
def print_schema() -> None:
    """Print the JSON schema of settings, with every installed plugin's."""
    say_json(json.dumps(schema(), indent=2, ensure_ascii=False))


def _one_line(value: Any) -> str:
    if isinstance(value, str):
        return value if value.isprintable() and value else json.dumps(value)
    return json.dumps(value, ensure_ascii=False)
