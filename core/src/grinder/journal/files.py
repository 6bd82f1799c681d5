"""The journal's files in a data directory: who may open them, how they are made, and whether they are sound.

``journal.sqlite`` is made under another name and renamed when it is complete, so that one which is empty or half
made is always damage, never a start that was interrupted. A damaged journal is refused and left as it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Final, Literal, TypeAlias

from grinder.errors import StateError
from grinder.files import sync_directory
from grinder.journal import wal
from grinder.journal.rows import Row, signed
from grinder.journal.schema import APPLICATION_ID, PUT_META, TABLES, VERSION

Sync: TypeAlias = Literal["process", "power"]

NAME: Final = "journal.sqlite"
_LOCK: Final = "journal.lock"
_SYNCHRONOUS: Final = {"process": "NORMAL", "power": "FULL"}
# The engine copies the log into the database beside its work; this is where a commit does it, if nobody else has.
_CHECKPOINT_PAGES: Final = 4096
_CACHE_KIB: Final = 16384
_NOT_DAMAGE: Final = ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_BUSY", "SQLITE_FULL")


def damaged(path: Path, what: object) -> StateError:
    """The error for a journal that must not be used; says what to do about it."""
    return StateError(
        f"{path} is damaged: {what}. Nothing was changed and nothing is traded. Move {path.parent} aside and start "
        "again without --resume; what it held can be read from the records in --out"
    )


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what SQLite raises while reading ``path`` into errors that say what to do.

    Raises:
        StateError: the file cannot be read, or is damaged.
    """
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "").startswith(_NOT_DAMAGE):
            raise StateError(f"{path} cannot be opened or read: {error}; check {path.parent}") from error
        raise damaged(path, error) from error
    except UnicodeDecodeError as error:
        # SQLite quoted damaged text in the message of an error.
        raise damaged(path, "its description of the tables is unreadable") from error
    except OSError as error:
        raise StateError(f"{path} cannot be opened or read: {error.strerror}; check {path.parent}") from error


def lock(directory: Path, name: str = _LOCK, what: str = "data directory") -> FileIO:
    """Take a data directory, or another one, for this process, making it if needed.

    Args:
        directory: what is taken.
        name: the file in it that is locked; it stays there.
        what: the directory in messages.

    Returns:
        The file that holds the lock; closing it gives the directory back.

    Raises:
        StateError: another process has it, or it cannot be written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = FileIO(os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+")
    except OSError as error:
        raise StateError(f"{what} {directory} cannot be used: {error.strerror}; choose another") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = file.read(20).decode(errors="replace").strip() or "unknown"
        file.close()
        raise StateError(
            f"{what} {directory} is in use by process {holder}; stop that process or choose another directory"
        ) from error
    # The number only serves the message to whoever is refused.
    with contextlib.suppress(OSError):
        file.truncate(0)
        file.write(b"%d\n" % os.getpid())
    return file


def create(path: Path, tag: str) -> None:
    """Make an empty journal for the instance ``tag``; it appears complete or not at all.

    Raises:
        StateError: its log is there without it, or the directory cannot be written.
    """
    for suffix in ("-wal", "-shm"):
        orphan = path.with_name(path.name + suffix)
        if orphan.exists():
            raise StateError(
                f"{path} is missing but {orphan.name} is there: put the journal back, or move {path.parent} aside to "
                "start afresh"
            )
    new = path.with_name(path.name + ".new")
    try:
        for leftover in (new, new.with_name(new.name + "-journal")):
            leftover.unlink(missing_ok=True)
        os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN")
            for sql in TABLES:
                db.execute(sql)
            db.execute(PUT_META, signed("tag", tag))
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {VERSION}")
            db.execute("COMMIT")
        new.rename(path)
        sync_directory(path.parent)
    except (OSError, sqlite3.Error) as error:
        raise StateError(f"{path} cannot be made: {error}; check space and permissions of {path.parent}") from error


def check(path: Path) -> None:
    """Refuse a journal that is damaged or not ours. Changes nothing, whatever it finds.

    Raises:
        StateError: it is.
    """
    with reading(path):
        lost = wal.check(path)
    if lost:
        raise damaged(path, lost)
    # A connection that only reads never copies the log into the database, not even when it closes.
    with contextlib.closing(connect_reader(path)) as db, reading(path):
        db.execute("PRAGMA cell_size_check = ON")
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID:
            raise damaged(path, f"it is not a journal of grinder (application id {application:#x})")
        if version != VERSION:
            raise StateError(f"{path} has format {version}, not {VERSION}: use the grinder that wrote it")
        faults: list[Row] = db.execute("PRAGMA integrity_check(3)").fetchall()
        if faults != [("ok",)]:
            raise damaged(path, "; ".join(str(fault) for (fault,) in faults))
        tables = db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid").fetchall()
        if tables != [(sql,) for sql in TABLES]:
            raise damaged(path, "its tables are not those of a journal")


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads; usable beside the process that writes.

    Raises:
        StateError: the file is not there or cannot be opened.
    """
    if not path.is_file():
        what = "is not a file" if path.exists() else "is not there"
        raise StateError(f"journal {path} {what}: name the data directory of a run, or move this one aside")
    with reading(path):
        uri = f"{path.resolve().as_uri()}?mode=ro"
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def connect_writer(path: Path, sync: Sync) -> sqlite3.Connection:
    """The connection of the one process that writes.

    Raises:
        StateError: the file cannot be opened for writing.
    """
    with reading(path), contextlib.ExitStack() as on_failure:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        on_failure.callback(db.close)
        path.chmod(0o600)
        mode = db.execute("PRAGMA journal_mode = WAL").fetchone()
        db.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[sync]}")
        db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        db.execute(f"PRAGMA cache_size = {-_CACHE_KIB}")
        # Starts the log afresh, so that what a killed process left at its end is not mistaken for damage later.
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if mode == ("wal",):
            on_failure.pop_all()
            return db
    raise StateError(f"{path} is on a file system without shared memory: choose another data directory")
