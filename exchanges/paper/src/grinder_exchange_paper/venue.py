"""The venue: its orders, its account, and what happens to them.

It knows nothing of latency: ``now`` is the venue's time of the message or market event being handled. Whatever lasts
is a record, applied by the same code live and after a restart.
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
    StateError,
    TimeInForce,
    Update,
)
from grinder_exchange_paper.account import ZERO, Account, money
from grinder_exchange_paper.log import (
    VERSION,
    Began,
    Changed,
    Ended,
    Executed,
    Opened,
    Record,
    Repeated,
    Sent,
    VenueLog,
)
from grinder_exchange_paper.matching import Matcher
from grinder_exchange_paper.orders import Order, Orders, lot_decimals
from grinder_exchange_paper.rules import closes
from grinder_exchange_paper.settings import Settings

NAME: Final = "paper"
SENT_REMEMBERED: Final = 100_000
"""Client ids among which a second placement is noticed."""


class Venue:
    """Orders and account of one paper account.

    Attributes:
        now: the venue's time in ns.
        said: updates with the venue's time, in order, not yet taken by the exchange.
        matchers: matchers of the symbols that had orders.
        duplicates: placements that were sent under a client id sent before.
    """

    __slots__ = (
        "_clock",
        "_log",
        "_market",
        "_records",
        "_response_ns",
        "_sent",
        "_settings",
        "_trades",
        "account",
        "duplicates",
        "instruments",
        "matchers",
        "now",
        "orders",
        "said",
    )

    def __init__(
        self,
        settings: Settings,
        context: ExchangeContext,
        log: VenueLog,
    ) -> None:
        self._settings = settings
        self._clock = context.clock
        self._market = context.market
        self._log = log
        self._response_ns = round(settings.response_latency_ms * 1_000_000)
        self._records: list[Record] = []
        self._sent: dict[str, None] = {}
        self._trades = 0
        self.duplicates = 0
        self.instruments = context.instruments
        self.account = Account(settings.balance, hedge=settings.position_mode == "hedge")
        self.orders = Orders(context.instruments)
        self.matchers: dict[str, Matcher] = {}
        self.said: list[tuple[int, Update]] = []
        self.now = 0

    # Records.

    def restore(self) -> None:
        """Let everything in the log happen again; open orders rest at the back of their queues.

        Raises:
            StateError: the log is corrupt or was written in another position mode.
        """
        number = 0
        for number, records in self._log.read():
            try:
                for record in records:
                    self._apply(record)
            except StateError as error:
                raise self._log.corrupt(number, str(error)) from error
            if number == 1:
                self._begun(records)
        if not number:
            began = Began(VERSION, self._settings.balance, self._settings.position_mode)
            self._do(began)
            self.commit()
        for order in self.orders.open.values():
            self.matcher(order.symbol).rest(order)

    def _begun(self, records: list[Record]) -> None:
        began = records[0]
        if not isinstance(began, Began) or began.version != VERSION:
            raise self._log.corrupt(1, f"not the first line of a version {VERSION} log")
        if began.position_mode != self._settings.position_mode:
            raise StateError(
                f"{self._log.path} was written in position mode {began.position_mode}, settings say "
                f"{self._settings.position_mode}; set it back, or use a fresh data directory"
            )

    def _apply(self, record: Record) -> None:
        if isinstance(record, Executed):
            self._trades += 1
            if record.fill.trade_id != f"p{self._trades}":
                raise StateError(f"trade {record.fill.trade_id} where p{self._trades} was due")
            self.orders.apply(record)
            self.account.apply(record.fill)
        elif isinstance(record, Sent):
            self._sent[record.client_id] = None
            if len(self._sent) > SENT_REMEMBERED:
                del self._sent[next(iter(self._sent))]
        elif isinstance(record, Repeated):
            self.duplicates += 1
        elif isinstance(record, Began):
            self.account.balance = record.balance
        else:
            self.orders.apply(record)

    def _do(self, record: Record) -> None:
        self._apply(record)
        self._records.append(record)

    def commit(self) -> None:
        """End a transaction: its records go into the next write of the log."""
        if self._records:
            self._log.add(self._records)
            self._records.clear()

    def say(self, update: Update) -> None:
        """Tell the client."""
        self.said.append((self.now, update))

    # The life of an order.

    def send(self, client_id: str, symbol: str, at_ns: int) -> None:
        """Note that a placement is on its way, and begin to watch its symbol."""
        if symbol in self.instruments:
            self.matcher(symbol)
        record = Repeated if client_id in self._sent else Sent
        self._do(record(at_ns, client_id))
        self.commit()

    def open(self, message: Admitted) -> Order:
        """Accept an order."""
        intent = message.intent
        record = Opened(
            at_ns=self.now,
            client_id=message.client_id,
            venue_order_id=self.orders.last_id + 1,
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
        self._do(record)
        order = self.orders.open[message.client_id]
        self.say(Accepted(order.client_id, order.venue_order_id, self.now))
        return order

    def work(self, order: Order) -> None:
        """Fill an order from what is displayed; let the rest wait, or end it where it may not."""
        self.matcher(order.symbol).take(order)
        if not order.open:
            return
        if order.price is None or order.tif in (TimeInForce.IOC, TimeInForce.FOK):
            self.end(order, OrderState.EXPIRED, "expired")
        else:
            self.matcher(order.symbol).rest(order)

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
        self._do(Executed(fill))
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
            trade_id=f"p{self._trades + 1}",
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
        qty = self.account.qty(symbol, position_side)
        return max(ZERO, -qty if side is Side.BUY else qty)

    def _drop_reducers(self, filled: Order) -> None:
        """Orders that may only reduce end when there is nothing left that they could reduce."""
        symbol, position_side = filled.symbol, filled.position_side
        for order in tuple(self.orders.open.values()):
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
        self._do(record)
        self.say(Amended(order.client_id, price, qty, self.now))
        if not keeps_place:
            self.work(order)

    def end(self, order: Order, state: OrderState, reason: str) -> None:
        """Take an order out."""
        self.matcher(order.symbol).remove(order)
        self._do(Ended(self.now, order.client_id, state, reason))
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
            worst = self.account.worst_case(name, buys, sells)
            before += worst
            if name == symbol:
                if side is Side.BUY:
                    buys += notional
                else:
                    sells += notional
                worst = self.account.worst_case(name, buys, sells)
            after += worst
        return after <= self.account.balance * self._settings.leverage or after <= before

    def find(self, client_id: str) -> Order | None:
        """The order of that id opened last; orders that memory has forgotten are looked up in the log."""
        order = self.orders.get(client_id)
        if order is not None or not self.orders.forgotten:
            return order
        self._log.flush()
        past = Orders(self.instruments)
        for _, records in self._log.read(containing=f'"{client_id}"'):
            for record in records:
                of = record.fill if isinstance(record, Executed) else record
                if not isinstance(of, Began) and of.client_id == client_id:
                    past.apply(record)
        return past.get(client_id)

    def snapshot(self) -> ExchangeSnapshot:
        """Open orders, positions and balance."""
        return ExchangeSnapshot(
            as_of_ns=self.now,
            orders=tuple(order.stated() for order in self.orders.open.values()),
            positions=self.account.positions(),
            balance=self.account.balance,
        )
