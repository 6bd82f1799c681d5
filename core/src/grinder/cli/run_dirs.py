"""Directories of runs as arguments of commands."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from grinder.errors import ConfigError
from grinder.evidence.gathering import Gathered
from grinder.evidence.markouts import MARKOUTS
from grinder.evidence.recorder import DECISIONS, FILLS, PAYMENTS
from grinder.evidence.summary import SUMMARY
from grinder.evidence.timeline import TIMELINE
from grinder.settings.saved import SETTINGS

RECORDS: Final = (SUMMARY, DECISIONS, FILLS, TIMELINE, MARKOUTS, PAYMENTS, SETTINGS, "metrics.prom")
"""Files of a run that no page may replace."""


def check_run(path: Path) -> None:
    """Refuse what is no directory of a run.

    Raises:
        ConfigError: it is not there, is no directory, cannot be read, or holds none of the files of a run.
    """
    advice = "name the directory of a run, as given to 'grinder run --out'"
    if not path.is_dir():
        raise ConfigError(f"run directory {path} {'is a file' if path.exists() else 'does not exist'}; {advice}")
    names = RECORDS[:6]
    try:
        found = {entry.name for entry in path.iterdir()}
    except OSError as error:
        raise ConfigError(f"run directory {path} cannot be read: {error.strerror}") from error
    if not found & set(names):
        raise ConfigError(f"{path} holds no run (none of {', '.join(names)}); {advice}")


def check_target(path: Path | None, *runs: Path) -> None:
    """Refuse a place where no page can be written, or must not be.

    Raises:
        ConfigError: it is a directory, a link, a device, or a file of one of the runs; or its folder is not there.
    """
    if path is None:
        return
    if path.is_dir():
        raise ConfigError(f"--out {path} is a directory; name a file in it, such as {path / 'report.html'}")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ConfigError(f"--out {path} is a link or no ordinary file; it is not followed. Name another file")
    if path.name in RECORDS and path.parent.resolve() in {run.resolve() for run in runs}:
        raise ConfigError(f"--out {path} is a record of the run, which the page would replace; name another file")
    if not path.parent.is_dir():
        raise ConfigError(f"--out {path}: folder {path.parent} does not exist; make it first")


def warn(gathered: Gathered, name: str) -> None:
    """Say on stderr what is missing or cannot be read."""
    for problem in gathered.problems:
        click.echo(f"warning: {name}: {problem}", err=True)
