"""What a reader of the answer should know of the run and of what is installed now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from grinder.engine.plugins import Loaded
from grinder.errors import InputError
from grinder.evidence.summary import Summary, read_summary
from grinder.settings.report import fingerprint
from grinder.settings.saved import Saved


def notes(run: Path, saved: Saved, base: Loaded, changed: Loaded) -> list[str]:
    """Everything that makes the answer less certain than it looks."""
    found = []
    if saved.settings_sha256 and fingerprint(base.settings) != saved.settings_sha256:
        found.append("what is installed now reads the run's settings differently: defaults or plugins have changed")
    try:
        summary = read_summary(run)
    except InputError as error:
        found.append(f"{error}; versions are not compared")
        summary = None
    if summary is not None:
        found += _versions(summary, changed)
    return found


def _versions(summary: Summary, changed: Loaded) -> Iterator[str]:
    then = {row.name: row.version for row in summary.plugins}
    for record in changed.host.records:
        before = then.get(record.name, record.version)
        if before != record.version:
            yield f"{record.name} was {before} in the run and is {record.version} here, which judges"
