"""Opening recordings: one feed of one or several files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from operator import attrgetter
from pathlib import Path

from grinder.errors import ConfigError
from grinder.feeds.feed import Feed, InputInfo
from grinder.feeds.recording import Recording
from grinder.instruments import TABLE, Instrument
from grinder.types import MarketEvent


def open_recordings(paths: Sequence[Path], *, symbols: Sequence[str] = (), tolerant: bool = False) -> Feed:
    """Open recordings of market data as one feed, merged by local time.

    Each file is read once from end to end before this returns: it is hashed, and where its local clock runs behind
    the exchange's, every local time is shifted so that the smallest latency is zero.

    Args:
        paths: captures (``LOCAL_TS JSON``) and sessions (JSON records) of Binance, plain, gzip or zstandard.
        symbols: what to read of them; all that is there by default.
        tolerant: leave out what is damaged and count it in ``skipped``, instead of raising.

    Raises:
        ConfigError: a file is missing or named twice, a symbol is not in any or its venue rules are unknown, or two
            files contradict each other.
        InputError: a file is empty, of an unknown format, truncated or corrupt.
    """
    if not paths:
        raise ConfigError("no recording is named")
    recordings = [Recording(Path(path), tolerant=tolerant) for path in paths]
    _refuse_overlap(recordings)
    rules = _rules(recordings)
    if tolerant:
        _forget_spoilt(recordings, rules)
    present = sorted({symbol for recording in recordings for symbol in recording.survey.symbols})
    missing = sorted(set(symbols) - set(present))
    if missing:
        raise ConfigError(f"no data of {', '.join(missing)} is recorded; there is {', '.join(present)}")
    wanted = tuple(sorted(set(symbols))) or tuple(present)
    unknown = [symbol for symbol in wanted if symbol not in rules]
    if unknown:
        raise ConfigError(
            f"venue rules of {', '.join(unknown)} are unknown: no recording holds an exchangeInfo with it, and it is "
            f"not in the table that is shipped ({', '.join(TABLE)}); record exchangeInfo too, or name other symbols"
        )
    return Recordings(recordings, wanted, {symbol: rules[symbol] for symbol in wanted})


class Recordings:
    """A ``Feed`` of files; made by ``open_recordings``."""

    def __init__(
        self, recordings: Sequence[Recording], symbols: tuple[str, ...], instruments: Mapping[str, Instrument]
    ) -> None:
        self._recordings = tuple(
            recording for recording in recordings if not recording.survey.symbols.isdisjoint(symbols)
        )
        self.inputs: tuple[InputInfo, ...] = tuple(recording.info for recording in recordings)
        self.symbols = symbols
        self.instruments = instruments
        self.first_ns = min(recording.info.first_ns for recording in self._recordings)
        self.last_ns = max(recording.info.last_ns for recording in self._recordings)
        self.skipped: Counter[str] = self._damage()
        self.ignored: Counter[str] = Counter()
        self._closed = False

    def __iter__(self) -> Iterator[MarketEvent]:
        """The events in local time order.

        Raises:
            InputError: a line is damaged and the feed is strict.
        """
        if self._closed:
            raise ValueError("the feed is closed")
        self.skipped, self.ignored = self._damage(), Counter()
        sources = [recording.events(self.symbols, self.skipped, self.ignored) for recording in self._recordings]
        return sources[0] if len(sources) == 1 else merge(*sources, key=attrgetter("local_ns"))

    def close(self) -> None:
        """Release the memory that the files take; the feed cannot be iterated afterwards."""
        self._closed = True
        for recording in self._recordings:
            recording.release()

    def _damage(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for recording in self._recordings:
            found += recording.damage
        return found


def _refuse_overlap(recordings: Sequence[Recording]) -> None:
    """Refuse files that tell the same twice, and one symbol from two markets."""
    for at, one in enumerate(recordings):
        for other in recordings[:at]:
            names = f"{other.info.path} and {one.info.path}"
            if one.info.sha256 == other.info.sha256:
                raise ConfigError(f"{names} are the same file; name it once")
            shared = sorted(one.survey.symbols & other.survey.symbols)
            if shared and one.market != other.market:
                raise ConfigError(
                    f"{names} hold {shared[0]} of two markets ({other.market}, {one.market}); replay them one by one"
                )
            apart = one.info.last_ns < other.info.first_ns or other.info.last_ns < one.info.first_ns
            streams = sorted(one.survey.streams & other.survey.streams)
            if streams and not apart:
                raise ConfigError(f"{names} both hold {streams[0]} at the same time; name one of them")


def _rules(recordings: Sequence[Recording]) -> dict[str, Instrument]:
    """Venue rules that are known: the table, and over it what was recorded."""
    rules = dict(TABLE)
    for recording in recordings:
        rules.update(recording.survey.instruments)
    return rules


def _forget_spoilt(recordings: Sequence[Recording], rules: Mapping[str, Instrument]) -> None:
    """Leave out symbols that nobody knows, as long as others remain: they are stream names with an error in them."""
    for recording in recordings:
        spoilt = recording.survey.symbols - rules.keys()
        if spoilt and spoilt != recording.survey.symbols:
            recording.forget(spoilt)
