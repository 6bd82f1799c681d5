"""Lines of plain, gzip, zstandard and zip files, streamed, with truncation and corruption told apart from the end."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path

from grinder.errors import ConfigError, InputError
from grinder.feeds.damage import DamageError, UnfitError, refuse_bomb

_READ = 1 << 18
"""Bytes read from the file at once."""
_INFLATE = 1 << 22
"""Most bytes that one step of gzip decompression may yield."""
_ZSTD_STEP = 1 << 10
"""Compressed bytes given to zstandard at once: a block of 128 KiB needs at least 4 bytes, so output is bounded."""
MAX_LINE = 64 << 20
"""Longest line in bytes; anything longer is no recording."""

_ZIP = b"PK\x03\x04"
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


def line_blocks(path: Path, on_damage: Callable[[str], None] | None = None) -> Iterator[list[bytes]]:
    """The file's lines without their ends, in blocks of many whole lines.

    Args:
        path: a plain, gzip (of any number of members), zstandard or zip (of one file) file; told by content, not by
            name.
        on_damage: called with ``truncated`` or ``corrupt`` when the compressed data ends too early or is
            spoilt; what is whole has been yielded then, and a line that was cut is dropped. None raises.

    Raises:
        ConfigError: the file cannot be opened.
        InputError: the data is damaged and ``on_damage`` is None, a line is too long, a zip holds anything but one
            file, what is unpacked is out of all proportion to the file, or reading fails.
    """
    count = 0
    try:
        with open_file(path) as file:
            for block in _split(_inflated(file)):
                count += len(block)
                yield block
    except DamageError as damage:
        kind = str(damage)
        if on_damage is None:
            hint = "fetch it again, or run with --tolerant to use what is whole"
            raise InputError(str(path), count, f"the file is {kind} after line {count}; {hint}") from damage
        on_damage(kind)
    except _LongLineError as error:
        message = f"the line is longer than {MAX_LINE >> 20} MiB; this is not a recording"
        raise InputError(str(path), count + 1, message) from error
    except UnfitError as error:
        raise InputError(str(path), 0, str(error)) from error
    except OSError as error:
        raise InputError(str(path), count, f"cannot be read any further: {error.strerror}") from error


def names_of(path: Path) -> tuple[str, ...]:
    """The file's name, and that of the one file in it where it is a sound zip: the name alone, without folders."""
    with open_file(path) as file:
        if file.peek(4)[:4] != _ZIP:
            return (path.name,)
        from grinder.feeds.zipped import member_name

        inner = member_name(file)
    return (path.name, inner) if inner else (path.name,)


def open_file(path: Path) -> BufferedReader:
    """Open for reading.

    Raises:
        ConfigError: it is missing, a directory, or not readable.
    """
    try:
        return path.open("rb")
    except IsADirectoryError as error:
        raise ConfigError(
            f"{path} is a directory, and not one that 'grinder record' has made; name the recordings in it"
        ) from error
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist; check the path") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be opened: {error.strerror}") from error


class _LongLineError(Exception):
    """A line is longer than ``MAX_LINE``."""


def _split(chunks: Iterator[bytes]) -> Iterator[list[bytes]]:
    head: list[bytes] = []
    size = 0
    for chunk in chunks:
        end = chunk.rfind(b"\n")
        if end < 0:
            head.append(chunk)
            size += len(chunk)
            if size > MAX_LINE:
                raise _LongLineError
            continue
        head.append(chunk[:end])
        yield b"".join(head).split(b"\n")
        head = [chunk[end + 1 :]]
        size = len(head[0])
    last = b"".join(head)
    if last:
        yield [last]


def _inflated(file: BufferedReader) -> Iterator[bytes]:
    chunks = iter(lambda: file.read(_READ), b"")
    magic = file.peek(4)[:4]
    packed = os.fstat(file.fileno()).st_size
    if magic.startswith(_GZIP):
        return _bounded(_gunzip(chunks), packed)
    if magic == _ZSTD:
        return _bounded(_unzstd(chunks), packed)
    if magic == _ZIP:
        from grinder.feeds.zipped import unzip

        return unzip(file)
    return chunks


def _bounded(unpacked: Iterator[bytes], packed: int) -> Iterator[bytes]:
    """What a file unpacks to, as long as it is in proportion to the file."""
    size = 0
    for chunk in unpacked:
        size += len(chunk)
        refuse_bomb(packed, size)
        yield chunk


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    inflater = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            rest = chunk
            while rest:
                if inflater.eof:
                    # Another member may follow, after padding with zeros.
                    rest = rest.lstrip(b"\0")
                    if rest:
                        inflater = zlib.decompressobj(wbits=31)
                    continue
                before = inflater.copy()
                try:
                    out = inflater.decompress(rest, _INFLATE)
                except zlib.error:
                    yield _salvage(before, rest)
                    raise
                yield out
                rest = inflater.unconsumed_tail or inflater.unused_data
        yield inflater.flush()
    except zlib.error as error:
        raise DamageError("corrupt") from error
    if not inflater.eof:
        raise DamageError("truncated")


def _salvage(inflater: zlib._Decompress, data: bytes) -> bytes:
    """What can be had of data that turns out corrupt: zlib gives nothing of a step that fails, so take small ones."""
    out = bytearray()
    try:
        for at in range(len(data)):
            out += inflater.decompress(data[at : at + 1])
    except zlib.error:
        pass
    return bytes(out)


def _unzstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    import zstandard

    context = zstandard.ZstdDecompressor()
    inflater = context.decompressobj()
    try:
        for chunk in chunks:
            for start in range(0, len(chunk), _ZSTD_STEP):
                rest = chunk[start : start + _ZSTD_STEP]
                while rest:
                    if inflater.eof:
                        inflater = context.decompressobj()
                    yield inflater.decompress(rest)
                    rest = inflater.unused_data
    except zstandard.ZstdError as error:
        raise DamageError("corrupt") from error
    if not inflater.eof:
        raise DamageError("truncated")
