"""Directories of runs as arguments of commands."""

from __future__ import annotations

from pathlib import Path

from grinder.cli.output import say
from grinder.cli.targets import RECORDS
from grinder.errors import ConfigError
from grinder.evidence.gathering import Gathered


def check_run(path: Path) -> None:
    """Refuse what is no directory of a run.

    Raises:
        ConfigError: it is not there, is no directory, cannot be read, or holds none of the files of a run.
    """
    advice = "name the directory of a run, as given to 'grinder run --out'"
    if not path.is_dir():
        raise ConfigError(f"run directory {path} {'is a file' if path.exists() else 'does not exist'}; {advice}")
    try:
        found = {entry.name for entry in path.iterdir()}
    except OSError as error:
        raise ConfigError(f"run directory {path} cannot be read: {error.strerror}") from error
    if not found & set(RECORDS):
        raise ConfigError(f"{path} holds no run (none of {', '.join(RECORDS)}); {advice}")


def warn(gathered: Gathered, name: str) -> None:
    """Say on stderr what is missing or cannot be read."""
    for problem in gathered.problems:
        say(f"warning: {name}: {problem}", err=True)
