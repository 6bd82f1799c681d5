"""The one file in a zip, streamed. Nothing is ever written anywhere: names in a zip are names, not paths."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from io import BufferedReader
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from grinder.feeds.damage import DamageError, UnfitError, refuse_bomb

_READ = 1 << 18
"""Bytes asked of the zip at once."""
_ENCRYPTED = 1


def unzip(file: BufferedReader) -> Iterator[bytes]:
    """The bytes of the one file in a zip.

    Raises:
        UnfitError: there is not exactly one file in it, or it is too large, encrypted, or compressed otherwise.
        DamageError: the zip is truncated or corrupt.
    """
    try:
        with ZipFile(file) as archive, archive.open(_only(archive)) as member:
            while chunk := member.read(_READ):
                yield chunk
    except EOFError as error:
        raise DamageError("truncated") from error
    except (BadZipFile, zlib.error, NotImplementedError, ValueError) as error:
        # A zip that is cut has lost its directory, which is at the end.
        kind = "truncated" if str(error) == "File is not a zip file" else "corrupt"
        raise DamageError(kind) from error


def member_name(file: BufferedReader) -> str:
    """Name of the one file in a zip, without folders; empty when the zip is unfit or damaged."""
    try:
        with ZipFile(file) as archive:
            return _only(archive).filename.replace("\\", "/").rpartition("/")[2]
    except (BadZipFile, UnfitError, NotImplementedError, ValueError):
        return ""


def _only(archive: ZipFile) -> ZipInfo:
    members = archive.infolist()
    if len(members) != 1 or members[0].is_dir():
        message = f"a zip with {len(members)} entries; it must hold exactly one file: unpack it and name its files"
        raise UnfitError(message)
    member = members[0]
    if member.flag_bits & _ENCRYPTED or member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise UnfitError("the file in the zip is encrypted, or neither stored nor deflated; unpack it and name it")
    refuse_bomb(member.compress_size, member.file_size)
    return member
