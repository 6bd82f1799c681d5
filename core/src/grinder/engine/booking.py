"""How a program tells a gatekeeper what changed its positions and its money."""

from __future__ import annotations

from grinder.engine.foreign import FOREIGN, OtherKey
from grinder.engine.numbers import Number, member, moment, number, side_of, text
from grinder.engine.post import Post
from grinder.errors import CallError
from grinder.exchange import Filled, Paid
from grinder.types import Fill, FillCause, OpenOrder, Payment, PaymentKind, PositionSide, Side


class Booking:
    """Trades and payments, each by the venue's id of it; each counts once and is durable when the call returns.

    Every method raises ``StateError`` when the journal cannot be written. What was said then counts, and is kept in
    memory until the journal can: say it again, since a process that ends before has lost it.
    """

    _post: Post

    def filled(
        self,
        *,
        trade_id: str,
        symbol: str,
        side: Side | str,
        price: Number,
        qty: Number,
        client_id: str = "",
        venue_order_id: str = "",
        fee: Number = 0,
        fee_asset: str = "",
        maker: bool = False,
        position_side: PositionSide | str = PositionSide.BOTH,
        cause: FillCause | str = FillCause.TRADE,
        ts_ns: int | None = None,
    ) -> bool:
        """An execution, named by the venue's trade id; it counts once, however often it is reported.

        The order is named by ``client_id`` or ``venue_order_id``. A fill of an order that is final or not ours counts,
        too, and from then on its symbol only reduces until a clean ``sync``; unless it is not ours and older than the
        first ``sync``, which contains it.

        Args:
            trade_id: unique per symbol on the venue.
            symbol: the venue's own.
            side: of our order.
            price: in quote units.
            qty: in base units.
            client_id: of the decision.
            venue_order_id: as given to ``accepted``.
            fee: what was paid; negative for a rebate.
            fee_asset: what it was paid in; the quote asset unless given.
            maker: whether our order rested.
            position_side: in hedge mode, the leg.
            cause: LIQUIDATION or ADL where the venue closed the position by itself; it has no order of ours.
            ts_ns: when the venue says it happened.

        Returns:
            Whether it is new.

        Raises:
            CallError: its order cannot be told yet, since orders of the symbol are unresolved; report it again then.
        """
        post = self._post
        with post.door:
            now = post.tick()
            venue, account = post.names
            post.symbol(symbol)
            trade_id = text("trade_id", trade_id, empty=False)
            if post.executor.settlement.ledger.knows((venue, account, symbol, trade_id)):
                post.executor.tally.duplicate_fills += 1
                post.settle()  # it may be known and not yet durable
                return False
            why, leg = member("cause", FillCause, cause), member("position_side", PositionSide, position_side)
            order = None
            if why is FillCause.TRADE:
                named = (symbol, side_of(side), text("client_id", client_id))
                order = self._filled_order(named, trade_id, text("venue_order_id", venue_order_id))
            happened = moment("ts_ns", ts_ns, now)
            if order is None and happened < post.began_ns:
                return False  # the venue's first statement contains it
            fill = Fill(
                route=post.parts.route,
                venue=venue,
                account=account,
                symbol=symbol,
                position_side=leg if order is None or order.origin == FOREIGN else order.position_side,
                trade_id=trade_id,
                client_id=order.client_id if order is not None else text("client_id", client_id),
                intent_id=order.intent_id if order is not None else "",
                side=side_of(side),
                price=number("price", price, above_zero=True),
                qty=number("qty", qty, above_zero=True),
                fee=number("fee", fee),
                fee_asset=text("fee_asset", fee_asset) or post.instruments[symbol].quote,
                maker=bool(maker),
                exchange_ns=happened,
                local_ns=now,
                cause=why,
            )
            _check_order(fill, order)
            post.begin()
            post.last_fill_ns[symbol] = max(post.last_fill_ns.get(symbol, 0), fill.exchange_ns)
            post.settle(Filled(fill))
            return True

    def paid(
        self,
        *,
        payment_id: str,
        symbol: str,
        amount: Number,
        kind: PaymentKind | str = PaymentKind.FUNDING,
        asset: str = "",
        position_side: PositionSide | str = PositionSide.BOTH,
        ts_ns: int | None = None,
    ) -> None:
        """A change of the wallet that is no trade, such as funding; it counts once, by the venue's id of it.

        Args:
            payment_id: unique per kind on the venue.
            symbol: the venue's own.
            amount: positive when received, negative when paid.
            kind: why.
            asset: what it was paid in; the quote asset unless given.
            position_side: in hedge mode, the leg.
            ts_ns: when the venue says it happened.

        Raises:
            CallError: something makes no sense; nothing was changed.
        """
        post = self._post
        with post.door:
            now = post.tick()
            venue, account = post.names
            post.symbol(symbol)
            payment = Payment(
                kind=member("kind", PaymentKind, kind),
                payment_id=text("payment_id", payment_id, empty=False),
                route=post.parts.route,
                venue=venue,
                account=account,
                symbol=symbol,
                position_side=member("position_side", PositionSide, position_side),
                amount=number("amount", amount),
                asset=text("asset", asset) or post.instruments[symbol].quote,
                at_ns=moment("ts_ns", ts_ns, now),
                local_ns=now,
            )
            post.settle(Paid(payment))

    def _filled_order(self, named: OtherKey, trade_id: str, venue_order_id: str) -> OpenOrder | None:
        """The order of a fill; None when it is not ours, nor one of others that was stated."""
        post, (symbol, side, client_id) = self._post, named
        ours = post.find(client_id)
        if ours is not None and (ours.symbol, ours.side) == (symbol, side):
            return ours
        other = post.find(post.venue_ids.get((symbol, venue_order_id), "") or post.others.get(named, ""))
        if client_id or other is not None:
            return other or ours
        unresolved = post.unresolved(symbol)
        if unresolved:
            raise CallError(
                f"trade {trade_id} is of order {venue_order_id!r}, and orders of {symbol} have no venue id yet, such "
                f"as {unresolved[0].client_id}: find out what became of them, report it, then report the trade again"
            )
        return None


def _check_order(fill: Fill, order: OpenOrder | None) -> None:
    """A fill that contradicts its order is a mistake of the program, not of the venue."""
    if order is not None and (order.symbol, order.side) != (fill.symbol, fill.side):
        said, known = f"{fill.side} {fill.symbol}", f"{order.side} {order.symbol}"
        raise CallError(f"trade {fill.trade_id} is {said}, but its order {order.client_id} is {known}")
