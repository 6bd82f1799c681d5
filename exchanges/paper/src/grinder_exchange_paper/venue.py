"""The venue: what happens to its orders.

It knows nothing of latency: ``now`` is the time, on our clock, of the message or market event being handled.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final, Literal

import msgspec

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
    Paid,
    PositionSide,
    Side,
    TimeInForce,
    Triggered,
    TriggerSource,
    Update,
)
from grinder_exchange_paper.amounts import ZERO
from grinder_exchange_paper.dialect import Refusal, dialect
from grinder_exchange_paper.fees import Schedule, fee, parse
from grinder_exchange_paper.latency import Courier
from grinder_exchange_paper.log import Changed, Ended, Executed, Fired, Opened, Record, VenueLog
from grinder_exchange_paper.margining import Margining
from grinder_exchange_paper.matching import Matcher
from grinder_exchange_paper.orders import Order, lot_decimals
from grinder_exchange_paper.queue_model import Power, QueueModel, RiskAverse
from grinder_exchange_paper.rules import Terms, closes
from grinder_exchange_paper.settings import Settings
from grinder_exchange_paper.state import VENUE, State
from grinder_exchange_paper.tables import tables

NAME: Final = VENUE


class Venue:
    """Orders and account of one paper account.

    Args:
        settings: the venue's settings.
        context: clock, instruments, market and seed.
        log: an open log; what it holds happens again, and open orders rest at the back of their queues.
        mode: position mode.

    Attributes:
        now: the time in ns.
        said: updates with the time at which they reach us, in order, not yet taken by the exchange.
        matchers: matchers of the symbols that had orders.
        state: orders and account.
        dialect: whose codes and rules.
        courier: latencies.
        margining: marks and margin.

    Raises:
        StateError: the log is corrupt or was written in another position mode.
    """

    __slots__ = (
        "_clock",
        "_market",
        "_model",
        "_settings",
        "courier",
        "dialect",
        "instruments",
        "margining",
        "matchers",
        "now",
        "said",
        "state",
    )

    def __init__(
        self, settings: Settings, context: ExchangeContext, log: VenueLog, mode: Literal["one_way", "hedge"]
    ) -> None:
        self._settings = settings
        self._clock = context.clock
        self._market = context.market
        self._model: QueueModel = Power(settings.queue_power) if settings.queue == "power" else RiskAverse()
        self.courier = Courier(settings, context.seed)
        self.instruments = context.instruments
        self.dialect = dialect(settings.rules, self.instruments.values())
        self.matchers: dict[str, Matcher] = {}
        self.said: list[tuple[int, Update]] = []
        self.now = 0
        self.state = State(
            self.instruments,
            log,
            balance=settings.balance,
            mode=mode,
            tables=tables(settings, self.dialect, self.instruments),
            schedule=Schedule(parse(settings.fee_tiers)) if settings.fee_tiers else None,
        )
        self.state.restore()
        self.margining = Margining(settings, self.state, self.matchers)
        for symbol in self.state.account.symbols():
            self.matcher(symbol)
        for order in self.state.orders.open.values():
            self._let_wait(order)

    def say(self, update: Update) -> None:
        """Tell the client."""
        self.said.append((self.courier.inbound(self.now), update))

    def do(self, record: Record) -> None:
        """Let a record happen, and tell the client of what it did to the wallet."""
        self.state.do(record)
        untold = self.state.untold
        if untold:
            for payment in untold:
                arrival = self.courier.inbound(self.now)
                self.said.append((arrival, Paid(msgspec.structs.replace(payment, local_ns=arrival))))
            untold.clear()

    # The life of an order.

    def open(self, message: Admitted, price: Decimal | None, qty: Decimal) -> Order:
        """Accept an order at the price and quantity that the venue makes of it."""
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
            price=price,
            qty=qty,
            tif=intent.tif,
            reduce_only=message.reduce_only or closes(intent.side, intent.position_side),
            trigger=intent.trigger,
        )
        self.do(record)
        order = self.state.orders.open[message.client_id]
        self.say(Accepted(order.client_id, order.venue_order_id, self.now))
        if price != message.price or qty != message.qty:
            self.say(Amended(order.client_id, price, qty, self.now))
        return order

    def work(self, order: Order) -> None:
        """Fill an order from what is displayed; let the rest wait, or end it where it may not."""
        if order.trigger is not None:
            self._let_wait(order)
            return
        if order.tif is not TimeInForce.FOK or self._may_fill_whole(order):
            self.matcher(order.symbol).take(order, self._bound(order))
        if not order.open:
            return
        if order.price is None or order.tif in (TimeInForce.IOC, TimeInForce.FOK):
            self.end(order, OrderState.EXPIRED, "expired")
        else:
            self._let_wait(order)

    def _let_wait(self, order: Order) -> None:
        matcher = self.matcher(order.symbol)
        if order.trigger is not None:
            matcher.waiting.add(order)
        else:
            matcher.rest(order)

    def _bound(self, order: Order) -> float | None:
        """The worst price of a market order: no further from the mark price than the venue lets it take."""
        if order.price is not None:
            return None
        reference = self.terms(order).reference
        bound = self.instruments[order.symbol].market_bound
        return float(reference * (1 + order.side.sign * bound)) if reference is not None else None

    def terms(self, order: Order) -> Terms:
        """What an order that is open asks for."""
        return Terms(
            instrument=self.instruments[order.symbol],
            side=order.side,
            price=order.price,
            qty=order.qty,
            reduces=order.reduce_only,
            post_only=order.tif is TimeInForce.GTX,
            touch=self.matcher(order.symbol).display.touch(),
            mark=self.margining.marks.get(order.symbol),
        )

    def _may_fill_whole(self, order: Order) -> bool:
        return not order.reduce_only or self.reducible(order.symbol, order.side, order.position_side) >= order.qty

    def execute(self, order: Order, lots: int, price: Decimal, maker: bool) -> int:
        """Fill an order; the lots filled. One that may only reduce is clipped to the position.

        What rests is filled by a market event, at the clock's time; what takes, when its message arrives.
        """
        lots = min(lots, self.tradable(order))
        if lots <= 0:
            return 0
        if maker:
            self.now = max(self.now, self._clock.now_ns())
            self.matcher(order.symbol).ladder(order.side).weigh(order, -lots)
        fill = self._fill(order, lots, price, maker)
        self.said.append((fill.local_ns, Filled(fill)))
        self.do(Executed(fill))
        if not order.open:
            self.matcher(order.symbol).remove(order)
        self._drop_reducers(order)
        return lots

    def _fill(self, order: Order, lots: int, price: Decimal, maker: bool) -> Fill:
        instrument = self.instruments[order.symbol]
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
            fee=fee(price, qty, self._rate(order, maker)),
            fee_asset=instrument.quote,
            maker=maker,
            exchange_ns=self.courier.venue_time(self.now),
            local_ns=self.courier.inbound(self.now),
            cause=order.cause,
        )

    def _rate(self, order: Order, maker: bool) -> Decimal:
        """Fee rate: the settings' own, else of the tier, else the instrument's; a liquidation pays another fee."""
        if not order.intent_id:
            return ZERO
        own = self._settings.maker_fee if maker else self._settings.taker_fee
        if own is not None:
            return own
        if self.state.schedule is not None:
            return self.state.schedule.rate(self.now, maker=maker)
        instrument = self.instruments[order.symbol]
        return instrument.maker_fee if maker else instrument.taker_fee

    def tradable(self, order: Order) -> int:
        """Lots of an order that may trade now: no more than the position where it may only reduce."""
        if not order.reduce_only:
            return order.lots
        return min(order.lots, order.to_lots(self.reducible(order.symbol, order.side, order.position_side)))

    def meet(self, taker: Order, maker: Order) -> None:
        """Two own orders meet: self-trade prevention ends one or both, or they trade."""
        if not maker.open:
            return
        mode = "none" if taker.tif is TimeInForce.FOK else self._settings.self_trade
        if mode == "none":
            self._trade(taker, maker)
            return
        if mode in {"expire_maker", "expire_both"}:
            self.end(maker, OrderState.EXPIRED, "self_trade")
        if mode in {"expire_taker", "expire_both"}:
            self.end(taker, OrderState.EXPIRED, "self_trade")

    def _trade(self, taker: Order, maker: Order) -> None:
        lots = min(self.tradable(taker), self.tradable(maker))
        if lots > 0 and maker.price is not None:
            self.execute(taker, lots, maker.price, maker=False)
            self.execute(maker, lots, maker.price, maker=True)

    def reducible(self, symbol: str, side: Side, position_side: PositionSide) -> Decimal:
        """Quantity by which an order of that side can reduce the position."""
        qty = self.state.account.qty(symbol, position_side)
        return max(ZERO, -qty if side is Side.BUY else qty)

    def _drop_reducers(self, filled: Order) -> None:
        """Orders that may only reduce end when there is nothing left that they could reduce.

        Conditional ones wait on: they are held against the position when they fire.
        """
        symbol, position_side = filled.symbol, filled.position_side
        for order in tuple(self.state.orders.open.values()):
            of_position = order.symbol == symbol and order.position_side is position_side
            waits = order.trigger is not None
            if (
                order.reduce_only
                and of_position
                and not waits
                and not self.reducible(symbol, order.side, position_side)
            ):
                self.end(order, OrderState.CANCELLED, "reduce_only")

    def change(self, order: Order, price: Decimal, qty: Decimal, request_id: str) -> None:
        """Amend an order; where the venue lets it, less quantity at the same price keeps the place in the queue."""
        record = Changed(self.now, order.client_id, price, qty)
        keeps_place = self.dialect.keeps_place and price == order.price and qty < order.qty
        if keeps_place:
            fewer = order.lots - order.to_lots(qty - order.filled_qty)
            self.matcher(order.symbol).ladder(order.side).weigh(order, -fewer)
        else:
            self.matcher(order.symbol).remove(order)
        self.do(record)
        self.say(Amended(order.client_id, price, qty, self.now, request_id))
        if not keeps_place:
            self.work(order)

    def end(self, order: Order, state: OrderState, reason: str) -> None:
        """Take an order out."""
        self.matcher(order.symbol).remove(order)
        self.do(Ended(self.now, order.client_id, state, reason))
        self.say(Cancelled(order.client_id, reason, self.now))

    @contextmanager
    def without(self, order: Order) -> Iterator[None]:
        """Leave a resting order out of what open orders cost, while an amendment of it is judged."""
        ladder = self.matcher(order.symbol).ladder(order.side)
        ladder.weigh(order, -order.lots)
        try:
            yield
        finally:
            ladder.weigh(order, order.lots)

    # Conditional orders.

    def last_traded(self, symbol: str, price: Decimal) -> None:
        """A print fires the conditional orders that wait for its price."""
        self.fire(symbol, TriggerSource.LAST, price)

    def fire(self, symbol: str, source: TriggerSource, price: Decimal) -> None:
        """Conditional orders whose trigger is reached become plain ones, which the venue may refuse."""
        fired = self.matcher(symbol).waiting.fired(source, price)
        if fired:
            self.now = max(self.now, self._clock.now_ns())
        for order in fired:
            self.do(Fired(self.now, order.client_id, self.state.orders.last_id + 1))
            self.say(Triggered(order.client_id, order.venue_order_id, self.now))
            if self.refuse_for_account(order) is not None or self._crosses_post_only(order):
                self.end(order, OrderState.EXPIRED, "trigger_refused")
            else:
                self.work(order)

    def _crosses_post_only(self, order: Order) -> bool:
        post_only = order.tif is TimeInForce.GTX and order.price is not None
        return post_only and self.matcher(order.symbol).would_take(order.side, order.price or ZERO)

    def refuse_for_account(self, order: Order) -> Refusal | None:
        """Why the account cannot bear an order that has just become a plain one; None when it can."""
        return self.margining.refusal(self.terms(order), self.reducible(order.symbol, order.side, order.position_side))

    # What the venue can be asked.

    def matcher(self, symbol: str) -> Matcher:
        """The symbol's matcher."""
        matcher = self.matchers.get(symbol)
        if matcher is None:
            decimals = lot_decimals(self.instruments[symbol])
            matcher = self.matchers[symbol] = Matcher(symbol, decimals, self._market, self._model, self)
            for record in self.margining.set_up(symbol, self.now):
                self.do(record)
        return matcher

    def snapshot(self) -> ExchangeSnapshot:
        """Open orders, positions and balance, and the latest that the venue did of its own accord."""
        return ExchangeSnapshot(
            as_of_ns=self.now,
            orders=tuple(order.stated() for order in self.state.orders.open.values()),
            positions=self.margining.positions(),
            balance=self.state.account.balance,
            fills=tuple(self.state.closures),
            payments=tuple(self.state.payments),
        )
