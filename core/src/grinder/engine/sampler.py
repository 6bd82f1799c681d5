"""Looks at the account and the market at regular event times, for the timeline. It changes nothing of the run."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Final

from grinder.engine.account import ZERO, Account
from grinder.engine.worth import worth
from grinder.evidence.timeline import Sample, SymbolSample, Timeline
from grinder.journal.ledger import Ledger
from grinder.market.state import MarketState
from grinder.types import PositionSide

NEVER: Final = 1 << 62
_NS_PER_MS: Final = 1_000_000


class Sampler:
    """Takes samples at whole multiples of the interval after the first event, and one at the end.

    Attributes:
        due_ns: event time of the next sample.
    """

    def __init__(
        self, timeline: Timeline, *, account: Account, ledger: Ledger, market: MarketState, symbols: Sequence[str]
    ) -> None:
        self.due_ns = NEVER
        self._timeline = timeline
        self._account = account
        self._ledger = ledger
        self._market = market
        self._symbols = tuple(symbols)
        self._first = 0

    def begin(self, first_ns: int, now: int) -> None:
        """Trading begins at ``now``, in a market whose first event was at ``first_ns``."""
        self._first = first_ns
        self._schedule(now)

    def take(self, now: int) -> None:
        """Take the sample that is due."""
        self._timeline.add(self._sample(now))
        self._schedule(now)

    def finish(self, now: int) -> None:
        """Take the last sample, if trading began."""
        if self.due_ns != NEVER:
            self.due_ns = NEVER
            self._timeline.add(self._sample(now))

    def _schedule(self, now: int) -> None:
        every = self._timeline.every_ns
        self.due_ns = self._first + ((now - self._first) // every + 1) * every

    def _sample(self, now: int) -> Sample:
        made = worth(self._ledger, self._market)
        return Sample(
            ts_ns=now,
            equity=self._account.start_balance + made.net if self._account.known else None,
            net=made.net,
            parts=made.parts,
            working=len(self._account.working()),
            symbols={symbol: self._symbol(symbol) for symbol in self._symbols},
        )

    def _symbol(self, symbol: str) -> SymbolSample:
        view = self._market.view(symbol)
        held = sum((self._account.position(symbol, side).qty for side in PositionSide), ZERO)
        mid = view.mid
        seen = view.updated_ns > 0
        return SymbolSample(
            qty=held,
            mid=mid if mid > 0 and isfinite(mid) else None,
            gaps=view.book.gaps,
            silence_ms=view.take_silence() // _NS_PER_MS if seen else 0,
            fault=self._market.standing(symbol),
        )
