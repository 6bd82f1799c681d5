"""Funding: at which instants it falls due, with which rate and mark price, and how much it is."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from grinder import MarkPrice
from grinder_exchange_paper.amounts import LARGEST, money

HOUR_NS: Final = 3_600_000_000_000
SHORTEST_NS: Final = HOUR_NS // 60
LONGEST_NS: Final = 24 * HOUR_NS
"""Bounds of a funding interval: an event that says something else is wrong."""


class Due(NamedTuple):
    """An instant at which positions pay or receive funding."""

    at_ns: int
    mark: Decimal
    rate: Decimal


def payment(qty: Decimal, mark: Decimal, rate: Decimal) -> Decimal:
    """What a position of a signed quantity receives, in quote units; below zero it pays.

    With a rate above zero, long positions pay and short positions receive.
    """
    return -money(qty * mark * rate)


class FundingClock:
    """The instants of one symbol, each due exactly once.

    The next instant is the one that mark-price events name; before the first event, and when events stay away, it is
    reckoned from the interval: whole multiples of it since 1970 (UTC), or the last instant and the interval. The rate
    and the mark price of an instant are the last that were known before it, so every instant of a gap in the events
    has those of the event before the gap. What is known afterwards changes nothing that was due.

    Call ``due`` before anything else that happens at a time is handled, also before ``observe``: the positions that
    stand then are those of the instants before.

    Args:
        after_ns: nothing up to this time is due: the start of the account, or the last record of its log.
        interval_ns: time between two instants where events do not tell it.
        rate: a fixed rate instead of that of events.

    Attributes:
        next_ns: the next instant.
        mark: mark price known last.
        rate: rate of the next instant as it is known now.
        unrated: instants that fell due while mark price or rate were unknown; nobody paid.
        ignored: mark-price events that could not be true.
    """

    __slots__ = (
        "_fixed",
        "_interval_ns",
        "_named",
        "_settled_named",
        "_settled_ns",
        "ignored",
        "mark",
        "next_ns",
        "rate",
        "unrated",
    )

    def __init__(self, after_ns: int, interval_ns: int = 8 * HOUR_NS, rate: Decimal | None = None) -> None:
        if not SHORTEST_NS <= interval_ns <= LONGEST_NS:
            raise ValueError(f"funding interval was {interval_ns} ns; give one from a minute to 24 hours")
        self._interval_ns = interval_ns
        self._fixed = rate is not None
        self._named = self._settled_named = False  # whether an event named the instant, or the interval gave it
        self._settled_ns = after_ns
        self.next_ns = (after_ns // interval_ns + 1) * interval_ns
        self.mark: Decimal | None = None
        self.rate = rate
        self.unrated = 0
        self.ignored = 0

    def resume(self, last: Due) -> None:
        """Continue after an instant that the log holds as paid: it is not due again, its rate and price are known."""
        if last.at_ns >= self.next_ns:
            self.next_ns = (last.at_ns // self._interval_ns + 1) * self._interval_ns
        self._settled_ns = max(self._settled_ns, last.at_ns)
        self.value(last.mark)
        if not self._fixed:
            self.rate = last.rate

    def value(self, mark: Decimal) -> None:
        """Take a price for the mark price, where the feed has none."""
        self.mark = mark

    def observe(self, event: MarkPrice) -> None:
        """Learn mark price, rate and next instant from an event of the symbol; one that cannot be true is counted.

        An event whose ``next_funding_ns`` is 0 does not tell the next instant.
        """
        mark, rate = _parse(event.mark), _parse(event.funding_rate)
        ahead_ns = event.next_funding_ns - event.local_ns
        if mark is None or rate is None or not (0 < mark <= LARGEST and -1 < rate < 1) or ahead_ns > LONGEST_NS:
            self.ignored += 1
            return
        self.mark = mark
        named = event.next_funding_ns > 0
        if named and event.next_funding_ns <= self._settled_ns:
            return  # a late event: its rate was that of an instant that is over
        if not self._fixed:
            self.rate = rate
        if named:
            self._name(event.next_funding_ns)

    def _name(self, next_ns: int) -> None:
        """Take the next instant from the venue; two in a row that it has named tell the interval."""
        interval_ns = next_ns - self._settled_ns
        if self._settled_named and SHORTEST_NS <= interval_ns <= LONGEST_NS:
            self._interval_ns = interval_ns
        self.next_ns = next_ns
        self._named = True

    def due(self, now_ns: int) -> list[Due]:
        """The instants up to now that have not been due yet, oldest first."""
        if now_ns < self.next_ns:
            return []
        instants = []
        while self.next_ns <= now_ns:
            if self.mark is None or self.rate is None:
                self.unrated += 1
            else:
                instants.append(Due(self.next_ns, self.mark, self.rate))
            self._settled_ns, self._settled_named = self.next_ns, self._named
            self.next_ns += self._interval_ns
            self._named = False
        return instants


def _parse(text: str) -> Decimal | None:
    """A finite number, or None."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
