"""What the venue does of its own accord: funding at its instants, liquidation when margin is used up."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from grinder import FillCause, MarkPrice, OrderState, Route, Side, TimeInForce, TriggerSource
from grinder_exchange_paper import fees, liquidation
from grinder_exchange_paper.amounts import ZERO
from grinder_exchange_paper.entries import Cleared, Insured
from grinder_exchange_paper.funding import HOUR_NS, FundingClock
from grinder_exchange_paper.liquidation import Liquidation
from grinder_exchange_paper.log import Opened
from grinder_exchange_paper.orders import Order
from grinder_exchange_paper.settings import Settings
from grinder_exchange_paper.venue import Venue

NEVER: Final = 1 << 62
SAMPLE_NS: Final = 1_000_000_000
"""Time between two looks at mid prices where the feed has no mark prices."""
AUTOCLOSE: Final = "autoclose-"
"""What the client ids of the venue's own orders begin with."""


class Clearing:
    """Funding and liquidation of one account.

    Args:
        settings: rates and fees.
        venue: orders and account.

    Attributes:
        due_ns: when the next funding is due, on our clock.
    """

    __slots__ = ("_clocks", "_feed_ns", "_settings", "_venue", "due_ns")

    def __init__(self, settings: Settings, venue: Venue) -> None:
        self._settings = settings
        self._venue = venue
        self._feed_ns = -venue.courier.venue_time(0)
        self._clocks: dict[str, FundingClock] = {}
        self.due_ns = NEVER

    # Mark prices.

    def marked(self, event: MarkPrice) -> None:
        """A mark price of the feed: conditional orders may fire, and positions may be liquidated."""
        price = self._venue.margining.mark(event)
        if price is None:
            return
        clock = self._clock(event.symbol, event.local_ns)
        if clock is not None:
            before = clock.next_ns
            clock.observe(event)
            if clock.next_ns != before:
                self._reckon()
        self._price(event.symbol, price, event.local_ns)

    def sample(self, now: int) -> None:
        """Mid prices stand in where the feed has no mark prices."""
        for symbol, price in list(self._venue.margining.sample(now)):
            clock = self._clock(symbol, now)
            if clock is not None:
                clock.value(price)
            self._price(symbol, price, now)

    def _price(self, symbol: str, price: Decimal, now: int) -> None:
        venue = self._venue
        matcher = venue.matchers.get(symbol)
        if matcher is None:
            return
        venue.now = max(venue.now, now)
        if matcher.waiting.marked:
            venue.fire(symbol, TriggerSource.MARK, price)
        held = any(holding.qty for holding in venue.state.account.contract(symbol).holdings.values())
        if held and venue.margining.knows_all():  # what has no price cannot be judged
            found = liquidation.due(venue.margining.valuation())
            if found:
                self._liquidate(found)

    # Funding.

    def _clock(self, symbol: str, now: int) -> FundingClock | None:
        """The symbol's funding clock; it starts with the account, or where its log ends."""
        if not self._settings.funding:
            return None
        clock = self._clocks.get(symbol)
        if clock is None:
            after_ns = self._venue.state.last_ns or self._venue.courier.venue_time(now)
            interval_ns = self._settings.funding_interval_h * HOUR_NS
            clock = self._clocks[symbol] = FundingClock(after_ns, interval_ns, self._settings.funding_rate)
            last = self._venue.state.account.contract(symbol).last_funding
            if last is not None:
                clock.resume(last)
            self._reckon()
        return clock

    def _reckon(self) -> None:
        self.due_ns = min((clock.next_ns for clock in self._clocks.values()), default=NEVER) + self._feed_ns

    def fund(self, now: int) -> None:
        """Pay what has fallen due up to now."""
        venue = self._venue
        for symbol, clock in self._clocks.items():
            for due in clock.due(venue.courier.venue_time(now)):
                for entry in venue.state.account.owed(symbol, due):
                    venue.do(entry)
        self._reckon()

    # Liquidation.

    def _liquidate(self, found: Sequence[Liquidation]) -> None:
        for each in found:
            self._cancel(each)
        for each in found:
            if self._venue.state.account.qty(each.symbol, each.position_side) == each.qty:
                self._close(each)
        lacking = self._venue.state.account.shortfall()
        if lacking and not all(each.isolated for each in found):
            self._venue.do(Insured(self._venue.now, lacking))

    def _cancel(self, each: Liquidation) -> None:
        """Before a position is closed, the orders end that could make it larger: of its symbol, or all under cross."""
        venue = self._venue
        for order in tuple(venue.state.orders.open.values()):
            isolated = venue.state.account.contract(order.symbol).isolated
            if order.symbol == each.symbol or not (each.isolated or isolated):
                venue.end(order, OrderState.CANCELLED, "liquidation")

    def _close(self, each: Liquidation) -> None:
        """Close a position up to its bankruptcy price; the insurance fund takes over at it what the display lacks.

        Then it takes its fee out of what is left of the margin.
        """
        venue = self._venue
        account = venue.state.account
        wallet, realised = account.contract(each.symbol).hold(each.position_side).wallet, account.realised
        order = self._open(each)
        venue.matcher(order.symbol).take(order, None)
        if order.open:
            self._take_over(order)
        left = wallet + account.realised - realised
        if not each.isolated:
            left = venue.margining.valuation().cross_equity()
        notional = sum((fill.price * fill.qty for fill in order.fills), ZERO)
        amount = fees.clearance(notional, left, self._settings.liquidation_fee)
        if amount:
            venue.do(Cleared(venue.now, each.symbol, each.position_side, amount))

    def _take_over(self, order: Order) -> None:
        price = order.price or self._venue.margining.marks[order.symbol]
        self._venue.execute(order, order.lots, price, maker=False)

    def _open(self, each: Liquidation) -> Order:
        """The venue's own order, at the last tick before the bankruptcy price."""
        venue = self._venue
        side = Side.SELL if each.qty > 0 else Side.BUY
        number = venue.state.orders.last_id + 1
        tick = venue.instruments[each.symbol].tick_size.normalize()
        # What was closed before may have changed what stands behind this one.
        price = liquidation.bankruptcy_price(venue.margining.valuation(), each.symbol, each.position_side)
        if price is not None:
            rounding = ROUND_CEILING if side is Side.SELL else ROUND_FLOOR
            price = max((price / tick).to_integral_value(rounding) * tick, tick)
        record = Opened(
            at_ns=venue.now,
            client_id=f"{AUTOCLOSE}{number}",
            venue_order_id=number,
            intent_id="",
            route=Route.PAPER,
            symbol=each.symbol,
            side=side,
            position_side=each.position_side,
            price=price,
            qty=abs(each.qty),
            tif=TimeInForce.IOC,
            reduce_only=True,
            cause=FillCause.LIQUIDATION,
        )
        venue.do(record)
        return venue.state.orders.open[record.client_id]
