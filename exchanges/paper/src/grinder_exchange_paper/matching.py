"""Matching in one symbol: what displayed levels and prints do to own orders.

Own orders do not change the recorded market. No fill is better than an order's limit, and none is of a size that
was neither displayed nor traded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final, Protocol

from grinder import BookDelta, BookSnapshot, MarketEvent, MarketReader, Side, TimeInForce, TopOfBook, Trade
from grinder_exchange_paper import queue_model
from grinder_exchange_paper.conditional import Waiting
from grinder_exchange_paper.displayed import Display, Eaten, Used, left_by
from grinder_exchange_paper.ladder import Ladder, Level
from grinder_exchange_paper.orders import Order
from grinder_exchange_paper.queue_model import QueueModel

BOOKS: Final = (BookDelta, BookSnapshot)


class Consequences(Protocol):
    """What matching leads to; the venue carries it out."""

    def execute(self, order: Order, lots: int, price: Decimal, maker: bool) -> int:
        """Fill an order; the lots really filled, fewer when it may only reduce a position."""
        ...

    def tradable(self, order: Order) -> int:
        """Lots of an order that may trade now: no more than the position where it may only reduce."""
        ...

    def meet(self, taker: Order, maker: Order) -> None:
        """Two own orders meet, of which one rests."""
        ...

    def last_traded(self, symbol: str, price: Decimal) -> None:
        """A print has reached a price for which a conditional order waits."""
        ...


class Matcher:
    """One symbol.

    Args:
        symbol: the symbol.
        decimals: decimals of a lot.
        market: where the books are.
        model: how a display moves orders in their queue.
        then: told of each fill, each meeting of own orders, and each print that fires a conditional order.

    Attributes:
        resting: how many own orders rest.
        last: price of the last print; empty before the first.
        taken: whether own orders took of what is displayed.
        waiting: conditional orders.
        display: what is displayed.
    """

    __slots__ = (
        "_eaten_asks",
        "_eaten_bids",
        "_heeds_all",
        "_market",
        "_model",
        "_scale",
        "_symbol",
        "_then",
        "_used_asks",
        "_used_bids",
        "asks",
        "bids",
        "display",
        "last",
        "resting",
        "taken",
        "waiting",
    )

    def __init__(self, symbol: str, decimals: int, market: MarketReader, model: QueueModel, then: Consequences) -> None:
        self._symbol = symbol
        self._market = market
        self._scale = 10.0**decimals
        self._model = model
        self._heeds_all = model.heeds_all
        self._then = then
        self._used_bids, self._used_asks = Used(Side.BUY), Used(Side.SELL)
        self._eaten_bids, self._eaten_asks = Eaten(), Eaten()
        self.bids = Ladder(Side.BUY)
        self.asks = Ladder(Side.SELL)
        self.display = Display(symbol, decimals, market)
        self.resting = 0
        self.last = ""
        self.taken = False
        self.waiting = Waiting()

    def ladder(self, side: Side) -> Ladder:
        """Own resting orders of a side."""
        return self.bids if side is Side.BUY else self.asks

    # Orders that arrive and leave.

    def would_take(self, side: Side, price: Decimal) -> bool:
        """Whether a limit order would meet what is displayed, or an own order."""
        limit, own = float(price), self.ladder(side.opposite).best
        touch = self.display.touch()
        if side is Side.BUY:
            return limit >= own or (touch is not None and limit >= touch[1])
        return limit <= own or (touch is not None and limit <= touch[0])

    def take(self, order: Order, bound: float | None = None) -> None:
        """Fill an arriving order from displayed levels and own orders among them, up to its limit or a bound."""
        if order.tif is TimeInForce.FOK and not self._whole(order):
            return
        ladder = self.ladder(order.side)
        own = self._own_within(order)
        for price, displayed, left in self._within(order):
            if bound is not None and ladder.better(price, bound):
                return
            while own and order.open and ladder.better(price, own[0].limit):
                self._then.meet(order, own.pop(0))
            taken = 0
            while own and order.open and own[0].limit == price:
                taken += self._consume(order, price, displayed, min(left, int(own[0].ahead)) - taken)
                if order.open:
                    self._then.meet(order, own.pop(0))
            if order.open:
                self._consume(order, price, displayed, left - taken)
            if not order.open:
                return
        while own and order.open:
            self._then.meet(order, own.pop(0))

    def _consume(self, order: Order, price: float, displayed: int, most: int) -> int:
        """Fill an arriving order from a displayed level with no more than some lots; the lots taken."""
        lots = min(order.lots, most)
        if lots <= 0:
            return 0
        filled = self._then.execute(order, lots, Decimal(repr(price)), False)
        self._used(order.side.opposite).use(price, displayed, filled)
        self.taken = True
        return filled

    def _own_within(self, order: Order) -> list[Order]:
        """Own resting orders that an order's limit reaches, in the order in which it would meet them."""
        opposite, ladder = self.ladder(order.side.opposite), self.ladder(order.side)
        unbound = order.price is None
        return [
            mine
            for level in opposite.ranked
            if unbound or not ladder.better(level.price, order.limit)
            for mine in level.orders
        ]

    def _whole(self, order: Order) -> bool:
        wanted = order.lots - sum(self._then.tradable(mine) for mine in self._own_within(order))
        for _, _, left in self._within(order):
            if wanted <= 0:
                break
            wanted -= left
        return wanted <= 0

    def _within(self, order: Order) -> Iterator[tuple[float, int, int]]:
        """Levels that an order's limit reaches: the price, the lots displayed, and those left to take."""
        touch = self.display.touch()
        if touch is None:
            return
        ladder = self.ladder(order.side)
        unbound = order.price is None
        used, bids = self._used(order.side.opposite), order.side is Side.SELL
        prints = self._unseen(order.side.opposite)
        if not unbound and ladder.better(touch[ladder.buy], order.limit):
            return
        outermost, reached = 0, False
        for price, displayed in self.display.levels(order.side.opposite):
            if not unbound and ladder.better(price, order.limit):
                return
            outermost = displayed
            if prints:
                displayed = left_by(prints, price, displayed, bids=bids)  # noqa: PLW2901
                reached = reached or displayed > 0
            yield price, displayed, used.left(price, displayed)
        if unbound and prints and not reached:
            # Prints took all that is displayed. The venue still had somebody at their price, whom no display shows.
            worst = (min if bids else max)(price for price, _ in prints)
            yield worst, outermost, used.left(worst, outermost)

    def rest(self, order: Order) -> None:
        """Put what is left of an order into the queue at its price; it has met all that is displayed within it."""
        if order.price is None:
            return
        ladder = self.ladder(order.side)
        ladder.crossed.update({price: displayed for price, displayed, _ in self._within(order)})
        queue_model.join(order, self.display.queue(order.side, order.price), self.display.newest())
        ladder.add(order)
        self.resting += 1

    def remove(self, order: Order) -> None:
        """Take an order off, if it rests or waits."""
        self.resting -= self.ladder(order.side).remove(order)
        if self.waiting.count:
            self.waiting.remove(order)

    # What the market does. This runs for every market event of a symbol with resting orders.

    def on_event(self, event: MarketEvent) -> None:
        """A market event has been applied to the book."""
        if isinstance(event, TopOfBook):
            self.display.top = event
            if self.resting or self.taken:
                self._on_top(event)
        elif isinstance(event, Trade):
            self.last = event.price
            self._eat(event)
            if self.resting:
                self._on_trade(event)
            if self.waiting.count:
                self._fire(event)
        elif isinstance(event, BOOKS):
            self.display.change = event
            if self.taken and self.display.top is None:  # else a level is looked at when it is the best one
                self._recount(event)
            if self.resting:
                self._on_book(event)

    def _eat(self, event: Trade) -> None:
        """A print takes what it took off the side that it hit, until a display contains it."""
        newest = self.display.newest()
        shown_ns = newest.exchange_ns if newest is not None else 0
        if event.exchange_ns > shown_ns:
            eaten = self._eaten_bids if event.taker is Side.SELL else self._eaten_asks
            eaten.add(event, shown_ns)
            if self.taken:
                self._used(event.taker.opposite).printed(float(event.price), self._lots(event.qty))

    def _keep_count(self, event: TopOfBook, bid: float, ask: float) -> None:
        """The best levels tell what has become of those that own orders took from."""
        bids, asks = self._used_bids, self._used_asks
        if bid <= bids.edge:
            bids.best(bid)
            bids.shown(bid, self._lots(event.bid_qty))
        if ask >= asks.edge:
            asks.best(ask)
            asks.shown(ask, self._lots(event.ask_qty))
        self.taken = bool(bids or asks)

    def _recount(self, event: BookDelta | BookSnapshot) -> None:
        """A change of the book tells what has become of levels that own orders took from."""
        for used, levels in ((self._used_bids, event.bids), (self._used_asks, event.asks)):
            if used:
                for name, qty in levels:
                    if (price := float(name)) in used:
                        used.shown(price, self._lots(qty))
        self.taken = bool(self._used_bids or self._used_asks)

    def _used(self, side: Side) -> Used:
        return self._used_bids if side is Side.BUY else self._used_asks

    def _unseen(self, side: Side) -> list[tuple[float, int]]:
        """Price and lots of prints that took from a side and are not in its display."""
        newest = self.display.newest()
        prints = (self._eaten_bids if side is Side.BUY else self._eaten_asks).since(
            newest.exchange_ns if newest is not None else 1
        )
        return [(price, int(qty * self._scale + 0.5)) for price, qty in prints]

    def _lots(self, qty: str) -> int:
        return int(float(qty) * self._scale + 0.5)

    def _on_top(self, event: TopOfBook) -> None:
        bid, ask = float(event.bid), float(event.ask)
        if bid <= 0.0 or ask <= 0.0:
            return
        if self.taken:
            self._keep_count(event, bid, ask)
        ladder = self.bids
        best = ladder.best
        if bid <= best:
            self._shown(ladder, bid, event.bid_qty, event)
        if ask <= best:
            self._cross(ladder, ((ask, int(float(event.ask_qty) * self._scale + 0.5)),))
        elif ladder.crossed:
            ladder.crossed = {}
        ladder = self.asks
        best = ladder.best
        if ask >= best:
            self._shown(ladder, ask, event.ask_qty, event)
        if bid >= best:
            self._cross(ladder, ((bid, int(float(event.bid_qty) * self._scale + 0.5)),))
        elif ladder.crossed:
            ladder.crossed = {}

    def _shown(self, ladder: Ladder, best: float, qty: str, event: TopOfBook) -> None:
        """The best displayed price is at or behind own orders: nothing is displayed at own prices before it."""
        levels = ladder.levels
        if best != ladder.best:
            for price, level in levels.items():
                if ladder.better(price, best):
                    level.shown(self._model, 0, event.exchange_ns, event.update_id)
            if best not in levels:
                return
        level = levels[best]
        if not level.front:
            return
        displayed = int(float(qty) * self._scale + 0.5)
        if displayed < level.front or self._heeds_all:
            level.shown(self._model, displayed, event.exchange_ns, event.update_id)

    def _on_book(self, event: BookDelta | BookSnapshot) -> None:
        book = self._market.book(self._symbol)
        for ladder in (self.bids, self.asks):
            if not ladder.levels:
                continue
            side = ladder.side
            for level in ladder.levels.values():
                displayed = int(book.qty_at(side, level.key or level.name(book)) * self._scale + 0.5)
                # An empty side is a book that is not there yet, not an empty queue.
                if (displayed < level.front or self._heeds_all) and book.top(side, 1):
                    level.shown(self._model, displayed, event.exchange_ns, event.last_id)
            if self.display.top is None:  # else that tells sooner
                self._cross(ladder, self.display.levels(side.opposite))

    def _cross(self, ladder: Ladder, levels: Iterable[tuple[float, int]]) -> None:
        """Opposite levels, best first, that may reach own prices; only what is newly displayed fills.

        Levels deeper than the last one given are not known and stay as they were.
        """
        offered, ladder.crossed = ladder.crossed, {}
        used = self._used(ladder.side.opposite)
        last = None
        for price, displayed in levels:
            last = price
            if ladder.better(price, ladder.best):
                break
            fresh = displayed - offered[price] if price in offered else used.left(price, displayed)
            ladder.crossed[price] = displayed
            if fresh > 0 and (filled := self._hand_out(ladder, price, fresh)):
                used.use(price, displayed, filled)
                self.taken = True
        for price, displayed in offered.items():
            if last is None or ladder.better(price, last):
                ladder.crossed[price] = displayed

    def _hand_out(self, ladder: Ladder, price: float, lots: int) -> int:
        """Give displayed lots to own orders that a price reaches, best and oldest first; the lots used."""
        used = 0
        for level in ladder.ranked:
            if ladder.better(price, level.price):
                break
            for order in level.orders:
                if used < lots and order.open and order.price is not None:
                    used += self._then.execute(order, min(lots - used, order.lots), order.price, True)
        return used

    def _fire(self, event: Trade) -> None:
        """A print fires the conditional orders that wait for its price."""
        price = float(event.price)
        if (price >= self.waiting.rise or price <= self.waiting.fall) and price > 0.0 and float(event.qty) > 0.0:
            self._then.last_traded(self._symbol, Decimal(event.price))

    def _on_trade(self, event: Trade) -> None:
        price = float(event.price)
        if event.taker is Side.SELL:
            ladder = self.bids
            if price > ladder.best:
                return
        else:
            ladder = self.asks
            if price < ladder.best:
                return
        lots = int(float(event.qty) * self._scale + 0.5)
        if price <= 0.0 or lots <= 0:
            return
        for level in ladder.ranked:
            through = price != level.price
            if through and ladder.better(price, level.price):
                return
            lots -= self._print(level, lots, event.exchange_ns, through=through)

    def _print(self, level: Level, lots: int, at_ns: int, *, through: bool) -> int:
        """Let a print reach own orders at its price, or at better prices, which it went through; the lots used."""
        used = 0
        reaches = queue_model.traded_through if through else queue_model.printed
        for order in level.orders:
            if used < lots and order.open and (reach := reaches(order, lots - used, at_ns)) and order.price is not None:
                used += self._then.execute(order, min(reach, order.lots), order.price, True)
        return used
