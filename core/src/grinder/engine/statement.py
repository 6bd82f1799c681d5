"""What a program says that the venue holds, compared with the books; differences make a symbol only reduce."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal, getcontext
from typing import Final

import msgspec

from grinder.engine.arithmetic import EXACT
from grinder.engine.foreign import FOREIGN, Known, aliases, counted, told_apart
from grinder.engine.numbers import Number, number, text
from grinder.engine.post import BEGAN, Post
from grinder.errors import CallError
from grinder.exchange import Accepted, Found, Update, VenueOrder, VenuePosition
from grinder.journal.identity import is_ours
from grinder.journal.ledger import sensible
from grinder.reconcile.report import Mismatch, MismatchKind, ReconcileReport
from grinder.types import Fill, OpenOrder, OrderState, PositionSide, Side, TradingState

ZERO: Final = Decimal(0)


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """Balance, positions and open orders of this moment; None is unknown, never flat."""

    balance: Decimal | None
    positions: dict[tuple[str, PositionSide], VenuePosition] | None
    orders: tuple[VenueOrder, ...] | None


def statement(
    post: Post, balance: Number | None, positions: Iterable[VenuePosition] | None, orders: Iterable[VenueOrder] | None
) -> Statement:
    """What was said, checked; symbols that are not traded here are left out.

    Raises:
        CallError: something in it makes no sense.
    """
    held = None if positions is None else [_position(each) for each in _all("positions", positions)]
    resting = None if orders is None else [_order(each) for each in _all("open_orders", orders)]
    return Statement(
        balance=None if balance is None else number("balance", balance),
        positions=None if held is None else _by_leg(p for p in held if p.symbol in post.instruments),
        orders=None if resting is None else tuple(o for o in resting if o.symbol in post.instruments),
    )


def _by_leg(positions: Iterable[VenuePosition]) -> dict[tuple[str, PositionSide], VenuePosition]:
    legs: dict[tuple[str, PositionSide], VenuePosition] = {}
    for each in positions:
        key = (each.symbol, each.position_side)
        if key in legs:
            leg = f"{each.symbol} {each.position_side}"
            raise CallError(f"positions: {leg} was stated twice, {legs[key].qty} and {each.qty}: state each leg once")
        legs[key] = each
    return legs


def _all(name: str, values: object) -> Iterable[object]:
    if isinstance(values, str | bytes | dict) or not isinstance(values, Iterable):
        raise CallError(f"{name} was {type(values).__name__}, must be a list")
    return values


def _position(given: object) -> VenuePosition:
    if not isinstance(given, VenuePosition):
        raise CallError(f"positions: was {type(given).__name__}, must be VenuePosition(symbol, side, qty, entry_price)")
    if not isinstance(given.position_side, PositionSide):
        raise CallError(f"positions: position_side was {given.position_side!r:.60}, must be a PositionSide")
    text("positions: symbol", given.symbol, empty=False)
    qty, entry = number("positions: qty", given.qty), number("positions: entry_price", given.entry_price, least=ZERO)
    if +qty != qty:  # the account would hold a rounded one, which differs from what was stated for ever
        raise CallError(f"positions: qty was {qty}, must have at most {getcontext().prec} digits")
    return msgspec.structs.replace(given, qty=qty, entry_price=entry)


def _order(given: object) -> VenueOrder:
    if not isinstance(given, VenueOrder) or not isinstance(given.side, Side):
        raise CallError(f"open_orders: was {type(given).__name__}, must be VenueOrder with a Side")
    ids = {name: text(f"open_orders: {name}", getattr(given, name)) for name in ("client_id", "venue_order_id")}
    text("open_orders: symbol", given.symbol, empty=False)
    figures = {name: number(f"open_orders: {name}", getattr(given, name), least=ZERO) for name in AMOUNTS}
    return msgspec.structs.replace(given, **ids, **figures)


AMOUNTS: Final = ("price", "qty", "filled_qty")


def settle(post: Post, said: Statement, adopt: str, now: int) -> ReconcileReport:
    """Bring the books in line where that is safe, and report what is left.

    Args:
        post: the books.
        said: what the venue holds.
        adopt: a person's reason to take over positions that differ; empty to leave them.
        now: the time.

    Raises:
        CallError: it contradicts itself, or cannot be booked; nothing was changed.
    """
    entries, mismatches = _plan(post, said.positions, adopt, now)
    known = None if said.orders is None else told_apart(post, said.orders)
    updates: list[Update] = []
    if known is not None:  # from here on nothing is refused: a statement holds as a whole or not at all
        _take_orders(post, known, updates, mismatches)
    for entry in entries:
        post.executor.settlement.books.adjust(entry)
        shown = {"symbol": entry.symbol, "side": entry.side.value, "qty": str(entry.qty), "price": str(entry.price)}
        post.log.warning("POSITION_ADOPTED", **shown, reason=adopt or "first statement")
    _know(post, said, now)
    complete = said.positions is not None and said.orders is not None
    report = ReconcileReport(now, complete, tuple(mismatches))
    _judge(post, report)
    post.settle(*updates)
    return report


def _know(post: Post, said: Statement, now: int) -> None:
    """The account is known, and new risk may be taken, once both positions and balance were stated."""
    if said.positions is not None:
        post.synced = True
        if not post.began_ns:
            post.executor.journal.put_state(BEGAN, now)
            post.began_ns = now
    if said.balance is not None:
        post.balance = said.balance
    if post.synced and post.balance is not None:
        post.account.set_balance(post.balance)
        post.balance = None


def _judge(post: Post, report: ReconcileReport) -> None:
    """A mismatch makes its symbol only reduce; a clean and complete pass ends that."""
    settlement, states = post.executor.settlement, post.executor.path.symbol_states
    wrong = {mismatch.symbol for mismatch in report.mismatches}
    for mismatch in report.mismatches:
        post.log.warning("MISMATCH", **msgspec.to_builtins(mismatch), trading_state="REDUCE_ONLY")
    for symbol in wrong:
        settlement.only_reduce(symbol)
    clean = [s for s, state in states.items() if state is TradingState.REDUCE_ONLY and s not in wrong]
    if report.complete and clean:
        for symbol in clean:
            del states[symbol]
            post.log.info("CLEAN_PASS", symbol=symbol, trading_state=post.executor.path.state_of(symbol).value)
        settlement.save_states()


def _take_orders(post: Post, orders: list[Known], updates: list[Update], mismatches: list[Mismatch]) -> None:
    """Follow what is stated of our orders; those that are not ours count, since they may trade."""
    _count_others(post, [order for order, ours in orders if ours is None], mismatches)
    listed = set()
    for order, known in orders:
        if known is None:
            continue
        listed.add(order.client_id)
        post.name(order.symbol, order.venue_order_id, order.client_id)
        if known.state.final:
            mismatches.append(_mismatch(MismatchKind.ORDER_STATUS_DIVERGENCE, order, known.state.value, "open"))
            updates.append(Accepted(order.client_id, order.venue_order_id, 0))
        else:
            _compare(post, order, known)
            updates.append(Found(order.client_id, order.venue_order_id, OrderState.OPEN, order.filled_qty))
    mismatches += _missing(post, listed)


def _count_others(post: Post, orders: list[VenueOrder], mismatches: list[Mismatch]) -> None:
    """Others' orders as they are now, in place of those of the statement before."""
    for before in post.account.working():
        if before.origin == FOREIGN:
            post.account.put(msgspec.structs.replace(before, state=OrderState.CANCELLED))
    post.others = aliases(orders)
    for order in orders:
        foreign = counted(order, post.parts.route)
        post.account.put(foreign)
        post.name(order.symbol, order.venue_order_id, foreign.client_id)
        if is_ours(order.client_id, post.parts.state.recovered.tag):
            ours = post.find(order.client_id)
            expected = "no such order" if ours is None else f"{ours.side} {ours.symbol}"
            observed = "open" if ours is None else f"{order.side} {order.symbol} open"
            mismatches.append(_mismatch(MismatchKind.ORDER_EXISTS_UNEXPECTED, order, expected, observed))


def _compare(post: Post, order: VenueOrder, known: OpenOrder) -> None:
    """Take over what was amended without our knowing it: by hand, or by a process that did not hear the answer."""
    if order.qty > 0 and order.price > 0:
        settlement = post.executor.settlement
        price = None if known.price is None else order.price
        settlement.changes.stated(known, order.qty, price, settlement.doubts.visible(post.clock.now_ns()))


def _missing(post: Post, listed: set[str]) -> Iterator[Mismatch]:
    """Orders that rested when last heard of, and rest no longer: what became of them has to be asked."""
    for order in post.account.working():
        if order.state in RESTING and order.origin != FOREIGN and order.client_id not in listed:
            post.executor.settlement.doubts.add(order.client_id, order.symbol, post.clock.now_ns())
            kind = MismatchKind.ORDER_MISSING_ON_EXCHANGE
            yield Mismatch(kind, order.symbol, order.client_id, order.state.value, "not open")


RESTING: Final = frozenset((OrderState.OPEN, OrderState.PARTIAL))


def _mismatch(kind: MismatchKind, order: VenueOrder, expected: str, observed: str) -> Mismatch:
    return Mismatch(kind, order.symbol, order.client_id, expected, observed)


def _plan(
    post: Post, stated: dict[tuple[str, PositionSide], VenuePosition] | None, adopt: str, now: int
) -> tuple[list[Fill], list[Mismatch]]:
    """Compare every leg: entries that take over what the account held before the first order, or what a person says."""
    entries: list[Fill] = []
    mismatches: list[Mismatch] = []
    if stated is None:
        return entries, mismatches
    known = {(p.symbol, p.position_side): p.qty for p in post.account.positions()}
    for key in sorted(known.keys() | stated.keys()):
        ours, theirs = known.get(key, ZERO), stated.get(key)
        observed = theirs.qty if theirs is not None else ZERO
        if ours == observed:
            continue
        untouched = key not in known and not any(o.origin != FOREIGN for o in post.account.open_orders(key[0]))
        if adopt or (untouched and not post.began_ns):
            entries.append(_entry(post, key, EXACT.subtract(observed, ours), theirs, len(entries), now))
        else:
            kind = MismatchKind.POSITION_NONZERO_UNEXPECTED
            mismatches.append(Mismatch(kind, key[0], key[1].value, str(ours), str(observed)))
    return entries, mismatches


def _entry(  # noqa: PLR0917 - one difference, and where it is booked
    post: Post, key: tuple[str, PositionSide], change: Decimal, theirs: VenuePosition | None, index: int, now: int
) -> Fill:
    """The difference as an entry of its own, so that the books stay the sum of their entries."""
    symbol, position_side = key
    price = theirs.entry_price if theirs is not None and theirs.entry_price else post.executor.path.reference(symbol)
    if price <= 0:
        raise CallError(f"{symbol} differs by {change}, and no price is known to book that at: feed a quote first")
    if not sensible(change):
        raise CallError(f"{symbol} differs by {change}, which is too long a number to be booked: is that its quantity?")
    venue, account = post.names
    booked = post.executor.settlement.ledger.fills + index
    return Fill(
        route=post.parts.route,
        venue=venue,
        account=account,
        symbol=symbol,
        position_side=position_side,
        trade_id=f"adopted-{post.parts.state.recovered.generation}-{booked}",
        client_id="",
        intent_id="",
        side=Side.BUY if change > 0 else Side.SELL,
        price=price,
        qty=change.copy_abs(),
        fee=ZERO,
        fee_asset=post.instruments[symbol].quote,
        maker=False,
        exchange_ns=now,
        local_ns=now,
    )
