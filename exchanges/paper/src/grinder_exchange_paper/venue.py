"""The venue: what happens to its orders.

It knows nothing of latency: ``now`` is the venue's time of the message or market event being handled.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from grinder import (
    Accepted,
    Admitted,
    Amended,
    Cancelled,
    ExchangeContext,
    ExchangeSnapshot,
    Fill,
    Filled,
    OrderState,
    PositionSide,
    Side,
    TimeInForce,
    Update,
)
from grinder_exchange_paper.account import ZERO, money
from grinder_exchange_paper.log import Changed, Ended, Executed, Opened, VenueLog
from grinder_exchange_paper.matching import Matcher
from grinder_exchange_paper.orders import Order, lot_decimals
from grinder_exchange_paper.rules import closes
from grinder_exchange_paper.settings import Settings
from grinder_exchange_paper.state import State

NAME: Final = "paper"


class Venue:
    """Orders and account of one paper account.

    Args:
        settings: the venue's settings.
        context: clock, instruments and market.
        log: an open log; what it holds happens again, and open orders rest at the back of their queues.

    Attributes:
        now: the venue's time in ns.
        said: updates with the venue's time, in order, not yet taken by the exchange.
        matchers: matchers of the symbols that had orders.
        state: orders and account.

    Raises:
        StateError: the log is corrupt or was written in another position mode.
    """

    __slots__ = ("_clock", "_market", "_response_ns", "_settings", "instruments", "matchers", "now", "said", "state")

    def __init__(self, settings: Settings, context: ExchangeContext, log: VenueLog) -> None:
        self._settings = settings
        self._clock = context.clock
        self._market = context.market
        self._response_ns = round(settings.response_latency_ms * 1_000_000)
        self.instruments = context.instruments
        self.matchers: dict[str, Matcher] = {}
        self.said: list[tuple[int, Update]] = []
        self.now = 0
        self.state = State(self.instruments, log, balance=settings.balance, mode=settings.position_mode)
        self.state.restore()
        for symbol in self.state.account.symbols():
            self.matcher(symbol)
        for order in self.state.orders.open.values():
            self.matcher(order.symbol).rest(order)

    def say(self, update: Update) -> None:
        """Tell the client."""
        self.said.append((self.now, update))

    # The life of an order.

    def open(self, message: Admitted) -> Order:
        """Accept an order."""
        intent = message.intent
        record = Opened(
            at_ns=self.now,
            client_id=message.client_id,
            venue_order_id=self.state.orders.last_id + 1,
            intent_id=intent.intent_id,
            route=message.route,
            symbol=intent.symbol,
            side=intent.side,
            position_side=intent.position_side,
            price=message.price,
            qty=message.qty,
            tif=intent.tif,
            reduce_only=message.reduce_only or closes(intent.side, intent.position_side),
        )
        self.state.do(record)
        order = self.state.orders.open[message.client_id]
        self.say(Accepted(order.client_id, order.venue_order_id, self.now))
        return order

    def work(self, order: Order) -> None:
        """Fill an order from what is displayed; let the rest wait, or end it where it may not."""
        if order.tif is not TimeInForce.FOK or self._may_fill_whole(order):
            self.matcher(order.symbol).take(order)
        if not order.open:
            return
        if order.price is None or order.tif in (TimeInForce.IOC, TimeInForce.FOK):
            self.end(order, OrderState.EXPIRED, "expired")
        else:
            self.matcher(order.symbol).rest(order)

    def _may_fill_whole(self, order: Order) -> bool:
        return not order.reduce_only or self.reducible(order.symbol, order.side, order.position_side) >= order.qty

    def execute(self, order: Order, lots: int, price: Decimal, maker: bool) -> int:
        """Fill an order; the lots filled. One that may only reduce is clipped to the position.

        What rests is filled by a market event, at the clock's time; what takes, when its message arrives.
        """
        if order.reduce_only:
            lots = min(lots, order.to_lots(self.reducible(order.symbol, order.side, order.position_side)))
        if maker:
            self.now = max(self.now, self._clock.now_ns())
            self.matcher(order.symbol).ladder(order.side).weigh(order, -lots)
        fill = self._fill(order, lots, price, maker)
        self.state.do(Executed(fill))
        self.say(Filled(fill))
        if not order.open:
            self.matcher(order.symbol).remove(order)
        self._drop_reducers(order)
        return lots

    def _fill(self, order: Order, lots: int, price: Decimal, maker: bool) -> Fill:
        instrument = self.instruments[order.symbol]
        rate = self._settings.maker_fee if maker else self._settings.taker_fee
        if rate is None:
            rate = instrument.maker_fee if maker else instrument.taker_fee
        qty = order.to_qty(lots)
        return Fill(
            route=order.route,
            venue=NAME,
            account=NAME,
            symbol=order.symbol,
            position_side=order.position_side,
            trade_id=f"p{self.state.trades + 1}",
            client_id=order.client_id,
            intent_id=order.intent_id,
            side=order.side,
            price=price,
            qty=qty,
            fee=money(price * qty * rate),
            fee_asset=instrument.quote,
            maker=maker,
            exchange_ns=self.now,
            local_ns=self.now + self._response_ns,
        )

    def reducible(self, symbol: str, side: Side, position_side: PositionSide) -> Decimal:
        """Quantity by which an order of that side can reduce the position."""
        qty = self.state.account.qty(symbol, position_side)
        return max(ZERO, -qty if side is Side.BUY else qty)

    def _drop_reducers(self, filled: Order) -> None:
        """Orders that may only reduce end when there is nothing left that they could reduce."""
        symbol, position_side = filled.symbol, filled.position_side
        for order in tuple(self.state.orders.open.values()):
            of_position = order.symbol == symbol and order.position_side is position_side
            if order.reduce_only and of_position and not self.reducible(symbol, order.side, position_side):
                self.end(order, OrderState.CANCELLED, "reduce_only")

    def change(self, order: Order, price: Decimal, qty: Decimal) -> None:
        """Amend an order: less quantity at the same price keeps the place in the queue, all else loses it."""
        record = Changed(self.now, order.client_id, price, qty)
        keeps_place = price == order.price and qty < order.qty
        if keeps_place:
            fewer = order.lots - order.to_lots(qty - order.filled_qty)
            self.matcher(order.symbol).ladder(order.side).weigh(order, -fewer)
        else:
            self.matcher(order.symbol).remove(order)
        self.state.do(record)
        self.say(Amended(order.client_id, price, qty, self.now))
        if not keeps_place:
            self.work(order)

    def end(self, order: Order, state: OrderState, reason: str) -> None:
        """Take an order out."""
        self.matcher(order.symbol).remove(order)
        self.state.do(Ended(self.now, order.client_id, state, reason))
        self.say(Cancelled(order.client_id, reason, self.now))

    # What the venue can be asked.

    def matcher(self, symbol: str) -> Matcher:
        """The symbol's matcher."""
        matcher = self.matchers.get(symbol)
        if matcher is None:
            decimals = lot_decimals(self.instruments[symbol])
            matcher = self.matchers[symbol] = Matcher(symbol, decimals, self._market, self.execute)
        return matcher

    def affords(self, symbol: str, side: Side, notional: Decimal) -> bool:
        """Whether more open notional keeps the worst case within balance times leverage, or does not raise it."""
        before = after = ZERO
        for name, matcher in self.matchers.items():
            buys, sells = matcher.bids.notional, matcher.asks.notional
            worst = self.state.account.worst_case(name, buys, sells)
            before += worst
            if name == symbol:
                if side is Side.BUY:
                    buys += notional
                else:
                    sells += notional
                worst = self.state.account.worst_case(name, buys, sells)
            after += worst
        return after <= self.state.account.balance * self._settings.leverage or after <= before

    def snapshot(self) -> ExchangeSnapshot:
        """Open orders, positions and balance."""
        return ExchangeSnapshot(
            as_of_ns=self.now,
            orders=tuple(order.stated() for order in self.state.orders.open.values()),
            positions=self.state.account.positions(),
            balance=self.state.account.balance,
        )
