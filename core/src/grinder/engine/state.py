"""Where a run keeps its state, and opening it: the journal, locked; fresh or resumed."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Mapping
from io import FileIO
from pathlib import Path
from typing import Final

import msgspec

from grinder.engine.options import RunOptions
from grinder.errors import ConfigError, StateError
from grinder.evidence.summary import InputRow
from grinder.journal.files import Sync, lock
from grinder.journal.identity import instance_tag
from grinder.journal.records import Recovered
from grinder.journal.store import Journal
from grinder.settings.model import Settings

OWN_FILES: Final = ("journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm", "paper.jsonl")
"""What a fresh replay removes from the state folder under its own ``--out``, beside what plugins keep there."""
PLUGIN_FILES: Final = "plugins"

INPUTS: Final = "inputs"
"""Key under which the journal keeps what the market was read from: paths by hash, or by name where there is none."""
EVIDENCE_LOCK: Final = ".lock"
OWNER: Final = "gatekeeper"
"""Key under which the journal of a program's gatekeeper keeps whose it is."""


class State(msgspec.Struct, frozen=True):
    """An open journal and what it holds."""

    folder: Path
    journal: Journal
    recovered: Recovered


def open_state(options: RunOptions, settings: Settings, out: Path) -> State:
    """Lock and open the state of a run.

    Without ``--data-dir`` the state is under ``out`` and starts afresh, unless the run is resumed.

    Raises:
        ConfigError: there is nothing to resume, or ``out`` is not a directory that can be written.
        StateError: the state is in use, damaged, of another seed, or of a finished run.
    """
    folder = options.data_dir if options.data_dir is not None else out / "state"
    if folder != out and (out / OWN_FILES[0]).exists():
        raise ConfigError(f"--out {out} is the data directory of an instance: name another folder for the evidence")
    if options.resume and not (folder / OWN_FILES[0]).exists():
        raise ConfigError(f"there is nothing to resume in {folder}: no {OWN_FILES[0]}")
    tag = instance_tag(options.seed)
    if not options.resume and options.data_dir is None:
        _clear(folder)
    journal = Journal.open(folder, sync=settings.journal_sync, tag=tag)
    try:
        if not options.resume:
            _refuse_used(journal, folder)
        journal.resume()
        return State(folder, journal, journal.recover())
    except BaseException:
        journal.close()
        raise


def take(out: Path, option: str = "--out") -> FileIO:
    """Take the directory of a run's evidence, which ``option`` named, for this process; closing the file gives it back.

    Raises:
        ConfigError: it cannot be made.
        StateError: another run writes there.
    """
    make_directory(out, option)
    return lock(out, EVIDENCE_LOCK, option)


def check_inputs(state: State, inputs: Iterable[InputRow]) -> dict[str, str]:
    """What the market is read from, with its path; it must contain all that the run which is resumed was given.

    Raises:
        ConfigError: something is missing.
    """
    given = {row.sha256 or row.path: row.path for row in inputs}
    for before, path in state.recovered.state.get(INPUTS, {}).items():
        if before not in given:
            raise ConfigError(
                f"the run that is resumed read {path}, which is not among what this one is given, or has changed: give "
                "the same recordings, unchanged, or start afresh without --resume"
            )
    return given


def open_instance(folder: Path, *, sync: Sync, tag: str | None, owner: Mapping[str, str]) -> State:
    """Lock and open the state of a program's gatekeeper, new or as it was left.

    Args:
        folder: the data directory.
        sync: how durable a commit is.
        tag: the instance tag of a replay; None for a random one, made once.
        owner: what must not change from start to start: venue, account and route of its orders.

    Raises:
        ConfigError: the folder cannot be made.
        StateError: the state is in use, damaged, of another venue, or of a run.
    """
    make_directory(folder, "data_dir")
    journal = Journal.open(folder, sync=sync, tag=tag)
    try:
        journal.resume()
        recovered = journal.recover()
        _refuse_foreign(recovered, folder, owner)
        journal.put_state(OWNER, dict(owner))
        return State(folder, journal, recovered)
    except BaseException:
        journal.close()
        raise


def make_directory(path: Path, option: str = "--out") -> None:
    """Make a directory of the run's, which ``option`` named.

    Raises:
        ConfigError: it cannot be made, or something else is in its place.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be used for evidence: {error.strerror}; choose another {option}") from error


def _refuse_used(journal: Journal, folder: Path) -> None:
    if journal.finished or next(iter(journal.decisions()), None) is not None:
        raise StateError(f"{folder} holds an earlier run: add --resume to go on with it, or name another --data-dir")


def _refuse_foreign(recovered: Recovered, folder: Path, owner: Mapping[str, str]) -> None:
    known = recovered.state.get(OWNER)
    if known is None and (recovered.next_intent_number > 1 or recovered.ledger.fills):
        raise StateError(f"{folder} holds the state of 'grinder run': name another data_dir")
    if known is not None and known != owner:
        raise StateError(
            f"{folder} holds orders of {known}, but settings say {dict(owner)}: name another data_dir, or put "
            "exchange.venue and exchange.mode back"
        )


def _clear(folder: Path) -> None:
    """Remove the state that an earlier replay left here, unless a process is using it."""
    if folder.is_symlink():
        raise ConfigError(f"{folder} is a symbolic link; it is not followed. Remove it or name a --data-dir")
    if not folder.is_dir():
        return
    with contextlib.closing(lock(folder)):
        if (folder / OWN_FILES[0]).exists():
            _clear_plugins(folder / PLUGIN_FILES)
        for name in OWN_FILES:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(folder / name)  # noqa: PTH108 - never follows a link


def _clear_plugins(folder: Path) -> None:
    if folder.is_symlink():
        raise ConfigError(f"{folder} is a symbolic link; it is not followed. Remove it or name a --data-dir")
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
