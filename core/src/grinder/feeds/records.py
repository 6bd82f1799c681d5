"""Records of a client session: one JSON object a line, of what the client sent and received."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Raw, Struct

from grinder.feeds.damage import FrameError


class Record(Struct):
    """A record. ``data`` is the text that went over the wire; ``ts`` the local time in seconds."""

    t: str
    ts: Raw = Raw()
    conn: str = ""
    addr: str = ""
    url: str = ""
    data: str = ""
    exchange: str = ""

    @property
    def local_ns(self) -> int:
        """Local time.

        Raises:
            FrameError: it is no number of seconds.
        """
        return decimal_ns(bytes(self.ts))

    def endpoint(self) -> str:
        """Last part of the path of an HTTP request; empty for other records."""
        return urlsplit(self.url).path.rpartition("/")[2] if self.t == "http" else ""

    def query(self, name: str) -> str:
        """One value of the query of an HTTP request; empty when it is not there."""
        return parse_qs(urlsplit(self.url).query).get(name, [""])[0]


decode_record = msgspec.json.Decoder(Record).decode


def decimal_ns(text: bytes) -> int:
    """Nanoseconds of a decimal number of seconds, exactly.

    Raises:
        FrameError: it is no positive number of at most 11 digits before the point.
    """
    try:
        seconds = Decimal(text.decode())
    except (InvalidOperation, UnicodeDecodeError):
        seconds = Decimal(0)
    if not (seconds.is_finite() and 0 < seconds < 10**11):
        raise FrameError("line_format", f"the record's local time is {text[:40]!r}, not a number of seconds")
    return int(seconds * 10**9)
