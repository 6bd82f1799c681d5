"""Names of our orders: the instance tag, the client order id made from it, and how to recognise our own.

``grinder_`` + six characters of tag + ``_`` + twenty characters of hash: 35 characters for every symbol, which fits
the 36 that venues accept. An id is a pure function of instance and intent, so that after a crash the same intent
finds the same order and never makes a second one.
"""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from typing import Final

import msgspec

PREFIX: Final = "grinder_"
MAX_LENGTH: Final = 36
_HASH_CHARS: Final = 20
_TAG_CHARS: Final = 6
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_TAG: Final = re.compile(rf"[{_ALPHABET}]{{{_TAG_CHARS}}}")
_HASHED: Final = re.compile(rf"{PREFIX}([{_ALPHABET}]{{{_TAG_CHARS}}})_[{_ALPHABET}]{{{_HASH_CHARS}}}")
_READABLE: Final = re.compile(rf"{PREFIX}([A-Za-z0-9]+)_([A-Z0-9]+)_([0-9]+|c)_([0-9]+)_([0-9]+)", re.ASCII)


class ReadableId(msgspec.Struct, frozen=True, gc=False):
    """The parts of a readable id, ``grinder_{strategy}_{symbol}_{level}_{seconds}_{number}``.

    ``level`` is a number or ``c`` (clean-up); ``placed_s`` is in seconds since the Unix epoch.
    """

    strategy: str
    symbol: str
    level: str
    placed_s: int
    number: int


def _base32(text: str, length: int) -> str:
    """The first characters of the text's SHA-256 in base32; the standard library's encoder takes ten times as long."""
    bits = int.from_bytes(sha256(text.encode()).digest(), "big")
    return "".join([_ALPHABET[bits >> shift & 31] for shift in range(251, 251 - 5 * length, -5)])


def instance_tag(seed: int) -> str:
    """The tag of a replay: the same for the same seed on every machine."""
    return _base32(f"grinder-instance:{seed}", _TAG_CHARS)


def random_tag() -> str:
    """A tag for a live instance, made once and kept in its journal."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_TAG_CHARS))


def is_tag(text: str) -> bool:
    """Whether the text has the form of an instance tag."""
    return _TAG.fullmatch(text) is not None


def client_order_id(tag: str, intent_id: str) -> str:
    """The client order id of an intent of the instance ``tag``: 35 characters of ``[a-z0-9_]``."""
    return f"{PREFIX}{tag}_{_base32(f'{tag}:{intent_id}', _HASH_CHARS)}"


def parse_readable(client_id: str) -> ReadableId | None:
    """The parts of a readable id, or None when it is not one."""
    if len(client_id) > MAX_LENGTH:
        return None
    match = _READABLE.fullmatch(client_id)
    if match is None:
        return None
    strategy, symbol, level, placed_s, number = match.groups()
    return ReadableId(strategy, symbol, level, int(placed_s), int(number))


def is_ours(client_id: str, tag: str | None = None) -> bool:
    """Whether grinder made the id.

    Args:
        client_id: what the venue calls the order by.
        tag: None for any instance's; else only that instance's. Readable ids name no instance and are always ours.
    """
    match = _HASHED.fullmatch(client_id)
    if match is not None:
        return tag is None or match[1] == tag
    return parse_readable(client_id) is not None
