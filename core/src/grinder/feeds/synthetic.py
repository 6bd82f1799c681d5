"""The synthetic market: no file needed, the same events for the same seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from heapq import merge
from operator import attrgetter
from random import Random

from grinder.errors import ConfigError
from grinder.feeds.feed import InputInfo
from grinder.feeds.synthetic_flow import SECOND, Flow, Schedule
from grinder.instruments import TABLE, Instrument
from grinder.types import MarketEvent

START_NS = 1_723_161_600 * SECOND
"""2024-08-09 00:00 UTC."""
MARKET = "synthetic"
_PRICES = {"BTCUSDT": Decimal("61800.00"), "ETHUSDT": Decimal("2680.00")}
_SILENCE_NS = 8 * SECOND


class Synthetic:
    """A ``Feed`` of an invented market: books, trades and mark prices, about 100 events a second and symbol.

    Calm, trending and volatile times follow one another. At set shares of the duration come, in this order: for the
    first symbol a lost book update (30 %), mended by a new snapshot up to a second later; for all a crash by 5 %
    within up to 4 s through thin bids (55 %), and a recovery of most of it; for the first symbol a silence of 8 s
    (80 %), if the duration is 45 s or longer.

    Args:
        seed: the same seed gives the same events.
        symbols: what to invent; BTCUSDT and ETHUSDT are known.
        start_ns: local time of the first event.
        duration_ns: how long it goes on.

    Raises:
        ConfigError: a symbol is not known, or the duration is not positive.
    """

    def __init__(
        self,
        seed: int,
        symbols: Sequence[str] = ("BTCUSDT", "ETHUSDT"),
        start_ns: int = START_NS,
        duration_ns: int = 300 * SECOND,
    ) -> None:
        unknown = [symbol for symbol in symbols if symbol not in _PRICES]
        if unknown or not symbols:
            known = ", ".join(_PRICES)
            raise ConfigError(f"the synthetic market has {known}, not {', '.join(unknown) or 'nothing'}")
        if duration_ns <= 0:
            raise ConfigError("the duration of the synthetic market must be positive")
        self._seed = seed
        self.inputs: tuple[InputInfo, ...] = ()
        self.symbols = tuple(sorted(set(symbols)))
        self.markets: Mapping[str, str] = dict.fromkeys(self.symbols, MARKET)
        self.instruments: Mapping[str, Instrument] = {symbol: TABLE[symbol] for symbol in self.symbols}
        self.first_ns = start_ns
        self.last_ns = start_ns + duration_ns
        self.skipped: Mapping[str, int] = Counter()
        self.ignored: Mapping[str, int] = Counter()

    def __iter__(self) -> Iterator[MarketEvent]:
        """The events in local time order, each time the same."""
        sources = [self._flow(symbol).events() for symbol in self.symbols]
        return sources[0] if len(sources) == 1 else merge(*sources, key=attrgetter("local_ns"))

    def close(self) -> None:
        """There is nothing to release."""

    def _flow(self, symbol: str) -> Flow:
        random = Random(f"{self._seed}:{symbol}")  # noqa: S311 - a simulation, not a secret
        return Flow(self.instruments[symbol], _PRICES[symbol], random, self._schedule(symbol == self.symbols[0]))

    def _schedule(self, disturbed: bool) -> Schedule:
        start, end = self.first_ns, self.last_ns
        length = end - start
        gap, crash, silence = (start + length * percent // 100 for percent in (30, 55, 80))
        bottom = crash + min(4 * SECOND, length // 20)
        sound = silence + _SILENCE_NS
        silent = disturbed and sound + SECOND <= end
        return Schedule(
            start=start,
            end=end,
            gap=gap if disturbed else end,
            snapshot=gap + max(SECOND // 3, min(SECOND, length // 20)) if disturbed else end,
            crash=crash,
            bottom=bottom,
            recovered=bottom + min(60 * SECOND, length * 15 // 100),
            silence=silence if silent else end,
            sound=sound if silent else end,
        )
