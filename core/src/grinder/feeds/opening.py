"""Opening recordings: one feed of one or several files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from operator import attrgetter
from pathlib import Path

from grinder.errors import ConfigError
from grinder.feeds.binance import SPOT, USDM
from grinder.feeds.bybit import LINEAR
from grinder.feeds.feed import Feed, InputInfo
from grinder.feeds.recording import Recording
from grinder.feeds.source import Source, is_recording
from grinder.instruments import BYBIT_TABLE, TABLE, Instrument
from grinder.types import MarketEvent

TABLES: Mapping[str, Mapping[str, Instrument]] = {USDM: TABLE, SPOT: TABLE, LINEAR: BYBIT_TABLE}
"""Venue rules that are shipped, by market."""


def open_recordings(paths: Sequence[Path], *, symbols: Sequence[str] = (), tolerant: bool = False) -> Feed:
    """Open recordings of market data as one feed, merged by local time.

    Each is read once from end to end before this returns: it is hashed, and where its local clock runs behind
    the exchange's, every local time is shifted so that the smallest latency is zero.

    Args:
        paths: files of any format that can be read, plain, gzip, zstandard or zip, and directories that
            ``grinder record`` has made.
        symbols: what to read of them; all that is there by default.
        tolerant: leave out what is damaged and count it in ``skipped``, instead of raising.

    Raises:
        ConfigError: a file is missing or named twice, a symbol is not in any or its venue rules are unknown, or two
            files contradict each other.
        InputError: a file is empty, of an unknown format, truncated or corrupt.
    """
    if not paths:
        raise ConfigError("no recording is named")
    sources = [open_source(Path(path), tolerant=tolerant) for path in paths]
    _refuse_overlap(sources)
    rules = _rules(sources)
    if tolerant:
        _forget_spoilt(sources, rules)
    markets = {symbol: market for source in sources for symbol, market in source.markets.items()}
    missing = sorted(set(symbols) - markets.keys())
    if missing or not markets:
        raise ConfigError(
            f"no data of {_shown(missing) or 'any symbol'} is recorded; there is {_shown(markets) or 'none'}"
        )
    wanted = tuple(sorted(set(symbols) or markets))
    unknown = [symbol for symbol in wanted if symbol not in rules.get(markets[symbol], {})]
    if unknown:
        known = TABLES.get(markets[unknown[0]], {})
        raise ConfigError(
            f"venue rules of {_shown(unknown)} are unknown: no recording holds an exchangeInfo or instruments-info "
            f"with it, and it is not in the table that is shipped ({', '.join(known)}); record it too, name a file "
            f"with the venue's answer besides, or name other symbols"
        )
    chosen = {symbol: markets[symbol] for symbol in wanted}
    return Recordings(sources, chosen, {symbol: rules[market][symbol] for symbol, market in chosen.items()})


def open_source(path: Path, *, tolerant: bool) -> Source:
    """Open one recording.

    Raises:
        ConfigError: it cannot be opened.
        InputError: it is empty, of an unknown format, or damaged.
    """
    if is_recording(path):
        from grinder.feeds.partitions import Partitions

        return Partitions(path, tolerant=tolerant)
    return Recording(path, tolerant=tolerant)


class Recordings:
    """A ``Feed`` of recordings; made by ``open_recordings``."""

    def __init__(
        self, sources: Sequence[Source], markets: Mapping[str, str], instruments: Mapping[str, Instrument]
    ) -> None:
        self._sources = tuple(source for source in sources if not markets.keys().isdisjoint(source.markets))
        self.inputs: tuple[InputInfo, ...] = tuple(source.info for source in sources)
        self.markets = markets
        self.symbols = tuple(markets)
        self.instruments = instruments
        self.first_ns = min(source.info.first_ns for source in self._sources)
        self.last_ns = max(source.info.last_ns for source in self._sources)
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
        events = [source.events(self.symbols, self.skipped, self.ignored) for source in self._sources]
        return events[0] if len(events) == 1 else merge(*events, key=attrgetter("local_ns"))

    def close(self) -> None:
        """Release the memory that the files take; the feed cannot be iterated afterwards."""
        self._closed = True
        for source in self._sources:
            source.release()

    def _damage(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for source in self._sources:
            found.update(source.damage)
        return found


def _refuse_overlap(sources: Sequence[Source]) -> None:
    """Refuse files that tell the same twice, and one symbol from two markets."""
    for at, one in enumerate(sources):
        for other in sources[:at]:
            names = f"{other.info.path} and {one.info.path}"
            if one.info.sha256 == other.info.sha256:
                raise ConfigError(f"{names} are the same file; name it once")
            for symbol in sorted(one.markets.keys() & other.markets.keys()):
                markets = (other.markets[symbol], one.markets[symbol])
                if markets[0] != markets[1]:
                    raise ConfigError(
                        f"{names} hold {_shown([symbol])} of two markets ({', '.join(markets)}); replay them one by one"
                    )
            apart = one.info.last_ns < other.info.first_ns or other.info.last_ns < one.info.first_ns
            told = sorted(one.tells & other.tells)
            if told and not apart:
                raise ConfigError(f"{names} both hold {_shown(told[:1])} at the same time; name one of them")


def _shown(symbols: Iterable[str]) -> str:
    """Symbols for a message; they come from files, and may be anything."""
    return ", ".join(symbol if symbol.isprintable() else ascii(symbol) for symbol in sorted(symbols))


def _rules(sources: Sequence[Source]) -> dict[str, dict[str, Instrument]]:
    """Venue rules that are known, by market: the tables, and over them what was recorded."""
    rules = {market: dict(table) for market, table in TABLES.items()}
    for source in sources:
        for market, recorded in source.rules.items():
            rules.setdefault(market, {}).update(recorded)
    return rules


def _forget_spoilt(sources: Sequence[Source], rules: Mapping[str, Mapping[str, Instrument]]) -> None:
    """Leave out symbols that nobody knows, as long as others remain: they are stream names with an error in them."""
    for source in sources:
        markets = source.markets
        spoilt = {symbol for symbol, market in markets.items() if symbol not in rules.get(market, {})}
        if spoilt and spoilt != markets.keys():
            source.forget(spoilt)
