"""What is wrong with a line of a recording, in one form for every format."""

from __future__ import annotations

import msgspec

NS_PER_MS = 1_000_000
NS_PER_US = 1_000
FUTURE_NS = 86_400 * 10**9
"""No clock is a day behind: an event time further ahead of the local time than this is damage."""
MAX_SIZE = 64 << 30
"""Most bytes that a compressed file may unpack to."""
MAX_RATIO = 200
"""How many times its compressed size a file may have; frames and rows of market data have 3 to 20 times."""
_SMALL = 1 << 20
"""Up to this size no ratio is too high."""


class DamageError(Exception):
    """Compressed data is ``truncated`` or ``corrupt``."""


class UnfitError(Exception):
    """Sound compressed data, but not of market data; the text says why and what to do."""


class FrameError(ValueError):
    """A frame, record or row cannot be used.

    Attributes:
        kind: what is wrong, as a word for counting.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def refuse_bomb(packed: int, size: int) -> None:
    """Check what compressed data comes to.

    Raises:
        UnfitError: it is more than ``MAX_SIZE`` bytes, or than ``MAX_RATIO`` times those that it was packed into.
    """
    if size > MAX_SIZE or (size > _SMALL and size > MAX_RATIO * packed):
        raise UnfitError(f"it unpacks from {packed:,} to {size:,} bytes or more; that is no market data")


def explain(error: Exception) -> tuple[str, str]:
    """The kind and the words of what a handler raised."""
    text = str(error)
    if isinstance(error, FrameError):
        return error.kind, text
    if isinstance(error, msgspec.ValidationError):
        # The decoders that check numbers are the only ones that expect a float.
        if "Expected `float`" in text or text.startswith("Number out of range"):
            return "number", f"a price or quantity is no number from 0 to 1e18: {text}"
        return "invalid", f"the frame is not what the venue sends: {text}"
    return "malformed", f"the line holds no JSON frame: {text}"


def in_order(local: int, previous: int) -> None:
    """Check one local time against the one before it; a ``previous`` of 0 is none.

    Raises:
        FrameError: time goes back, or jumps ahead by more than ``FUTURE_NS``.
    """
    if local < previous:
        raise FrameError("local_time", f"local time goes back by {previous - local} ns")
    if local - previous > FUTURE_NS and previous:
        raise FrameError("local_time", f"local time jumps ahead by {(local - previous) / 1e9:,.0f} s")
