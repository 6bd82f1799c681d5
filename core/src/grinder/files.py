"""Whole files that appear at once or not at all, also after a power cut."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from io import BufferedRandom
from pathlib import Path
from typing import Final

from grinder.errors import StateError

CREATE: Final = os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
"""How files of ours are made: a link that stands at their place is never followed."""


def temporary_of(path: Path) -> Path:
    """Where a file is written before it takes its name."""
    return path.with_name(f".{path.name}.tmp")


def create(path: Path, *, private: bool = True) -> int:
    """A new file, for us alone if ``private``; what stood there (from a run that was killed) is emptied.

    Returns:
        Its descriptor, to read and to append.

    Raises:
        OSError: it cannot be made, or a link is there.
    """
    fd = os.open(path, os.O_RDWR | os.O_TRUNC | os.O_APPEND | CREATE, 0o600 if private else 0o666)
    if private:
        os.fchmod(fd, 0o600)
    return fd


def rename(temporary: Path, path: Path) -> None:
    """Give a file that is safely written its name.

    Raises:
        OSError: it cannot be renamed.
    """
    temporary.replace(path)
    sync_directory(path.parent)  # else the rename itself may not survive a power cut


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable.

    Raises:
        OSError: it cannot be read.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def whole_file(path: Path, *, private: bool = True) -> Iterator[BufferedRandom]:
    """A file to write, under a temporary name; it replaces the old one when the block ends without an error.

    Args:
        path: what it is called in the end.
        private: mode 0600 instead of what the umask leaves.

    Raises:
        OSError: it cannot be written; the old file, if any, is untouched.
    """
    temporary = temporary_of(path)
    fd = create(temporary, private=private)
    try:
        with os.fdopen(fd, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_atomic(path: Path, data: bytes) -> None:
    """Write a whole file (mode 0600): to a temporary one, synced, then renamed over the old.

    Raises:
        StateError: it could not be written; the old file, if any, is untouched.
    """
    try:
        with whole_file(path) as file:
            file.write(data)
    except OSError as error:
        raise unwritable(path, error) from error


def remove(path: Path) -> None:
    """Remove a file, or the link that stands in its place, if it is there.

    Raises:
        StateError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StateError(f"{path} cannot be removed: {error.strerror}; {advice(error)}") from error


def unwritable(path: Path, error: OSError) -> StateError:
    """What to raise when a file cannot be written."""
    return StateError(f"{path} cannot be written: {error.strerror}; {advice(error)}")


def advice(error: OSError) -> str:
    """What to do about a file that cannot be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return "free space or raise the quota"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return "mend its permissions or name another place"
    if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL}:
        return "no file can be made there: name another place"
    return "look after the disk or name another place"
