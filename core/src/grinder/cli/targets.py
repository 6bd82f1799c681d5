"""Files that commands are told to write: what must not be replaced is refused before anything is done."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from grinder.errors import ConfigError
from grinder.evidence.markouts import MARKOUTS
from grinder.evidence.recorder import DECISIONS, FILLS, PAYMENTS
from grinder.evidence.summary import METRICS, REPORT, SUMMARY
from grinder.evidence.timeline import TIMELINE
from grinder.feeds.source import is_recording
from grinder.settings.saved import SETTINGS

RECORDS: Final = (SUMMARY, DECISIONS, FILLS, TIMELINE, MARKOUTS, PAYMENTS)
"""Files by which the directory of a run is known."""

_KEPT: Final = frozenset((*RECORDS, SETTINGS, METRICS))
_STATE: Final = re.compile(r"\.lock|journal\.lock|paper\.jsonl|.+\.sqlite(-[a-z]+)?", re.IGNORECASE)
_DEPTH: Final = 3
"""Folders from a partition up to its recording."""


def check_target(path: Path | None, option: str, *, page_of: Path | None = None) -> None:
    """Refuse a file that cannot be written, or must not be.

    Args:
        path: the file; None when none is wanted.
        option: that named it, for the message.
        page_of: the run whose own page may be written.

    Raises:
        ConfigError: it is a directory, a link, a device, or part of a run, a state or a recording; or its folder is
            not there.
    """
    if path is None:
        return
    if path.is_dir():
        raise ConfigError(f"{option} {path} is a directory; name a file in it")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ConfigError(f"{option} {path} is a link or no ordinary file; it is not followed. Name another file")
    if not path.parent.is_dir():
        raise ConfigError(f"{option} {path}: folder {path.parent} does not exist; make it first")
    check_not_kept(path, option, page_of=page_of)


def check_not_kept(path: Path, option: str, *, page_of: Path | None = None) -> None:
    """Refuse a file that is part of a run, a state or a recording, whichever it is.

    Raises:
        ConfigError: it is one.
    """
    real = path.resolve()
    folder, name = real.parent, real.name.lower()  # some file systems take Decisions.jsonl for the same
    what = ""
    if name in _KEPT and _holds_a_run(folder):
        what = "a record of the run"
    elif name == REPORT and _holds_a_run(folder) and (page_of is None or folder != page_of.resolve()):
        what = "the page of the run"
    elif _STATE.fullmatch(name) and real.exists():
        what = "state of the instance"
    elif any(is_recording(each) for each in (folder, *folder.parents[:_DEPTH])):
        what = "part of the recording"
    if what:
        raise ConfigError(f"{option} {path} is {what} in {folder}, which must stay as it is; name another file")


def _holds_a_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in RECORDS)
