"""Whatever a program states of the venue: it is refused as a whole, or the books say the same; twice is as once."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grinder import (
    CallError,
    Gatekeeper,
    ManualClock,
    MismatchKind,
    OrderIntent,
    PositionSide,
    Side,
    VenueOrder,
    VenuePosition,
)

SYMBOLS = ("BTCUSDT", "ETHUSDT")
OURS = "the client id of our own order, a BUY of 0.01 BTCUSDT"
QTY, PRICE = Decimal("0.01"), Decimal(59990)
ZERO = Decimal(0)


def order(symbol, client_id, venue_order_id, side=Side.BUY, qty=1):
    return VenueOrder(symbol, client_id, venue_order_id, side, Decimal(100), Decimal(qty), ZERO)


def held(symbol, qty, leg=PositionSide.BOTH, entry=100):
    return VenuePosition(symbol, leg, Decimal(qty), Decimal(entry))


ORDERS = st.builds(
    VenueOrder,
    symbol=st.sampled_from([*SYMBOLS, "DOGEUSDT"]),
    client_id=st.sampled_from(["", "web", "1", OURS, "venue:BTCUSDT:1"]),
    venue_order_id=st.sampled_from(["", "1", "2"]),
    side=st.sampled_from(Side),
    price=st.just(Decimal(100)),
    qty=st.integers(0, 3).map(Decimal),
    filled_qty=st.integers(0, 4).map(Decimal),
)
POSITIONS = st.builds(
    held, st.sampled_from(SYMBOLS), st.integers(-3, 3), st.sampled_from(PositionSide), st.sampled_from([0, 100])
)
STATEMENTS = st.tuples(st.lists(POSITIONS, max_size=3), st.lists(ORDERS, max_size=4))


def is_ours(stated: VenueOrder) -> bool:
    return (stated.symbol, stated.side, stated.client_id) == ("BTCUSDT", Side.BUY, OURS)


def contradicts_itself(positions, orders) -> bool:
    """Whether two lines are of one leg or of one order, or an order cannot be named."""
    traded = [each for each in orders if each.symbol in SYMBOLS]
    names = Counter(OURS if is_ours(each) else (each.symbol, each.venue_order_id or each.client_id) for each in traded)
    legs = Counter((each.symbol, each.position_side) for each in positions)
    return any(count > 1 for count in (*names.values(), *legs.values())) or any(not name[1] for name in names)


def everything(keeper: Gatekeeper):
    post = keeper._post
    return keeper.open_orders(), post.account.positions(), keeper.status(), post.executor.journal.pending


def worst_cases(keeper: Gatekeeper):
    account = keeper._post.account
    return {(s, side): account.worst_case(s, side) for s in SYMBOLS for side in Side}


def expected_worst_cases(orders):
    worst = dict.fromkeys(((s, side) for s in SYMBOLS for side in Side), ZERO)
    worst["BTCUSDT", Side.BUY] = QTY  # ours, stated or not: what became of it is not known otherwise
    for each in orders:
        if each.symbol in SYMBOLS and not is_ours(each):
            worst[each.symbol, each.side] += max(each.qty - each.filled_qty, ZERO)
    return worst


def opened(folder: str) -> Gatekeeper:
    overrides = {"plugins.warm_up.seconds": 0, "plugins.liquidity_by_side.enabled": False}
    clock = ManualClock(1_700_000_000 * 10**9)
    keeper = Gatekeeper.from_settings(data_dir=Path(folder), clock=clock, seed=7, overrides=overrides)
    for symbol in SYMBOLS:
        keeper.quote(symbol, 60000, 50, 60001, 50)
    keeper.sync(balance=10**6, positions=[], open_orders=[])
    return keeper


@example([([], [order("BTCUSDT", "", "77"), order("ETHUSDT", "", "77")]), ([], [])])
@example([([], [order("BTCUSDT", "grid-1", "1"), order("ETHUSDT", "grid-1", "2")]), ([], [])])
@example([([], [order("ETHUSDT", OURS, "9", Side.SELL, 3)])])
@example([([], [order("BTCUSDT", OURS, "9", Side.SELL, 3)])])
@example([([], [order("BTCUSDT", "", "", qty=1), order("BTCUSDT", "", "", qty=2)])])
@example([([held("BTCUSDT", 1), held("BTCUSDT", 2)], [order("BTCUSDT", "web", "1")])])
@example([([held("BTCUSDT", 2)], [order("BTCUSDT", "web", "1"), order("BTCUSDT", "web", "1")])])
@given(st.lists(STATEMENTS, min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_a_statement_holds_as_a_whole_or_not_at_all(statements):
    with TemporaryDirectory() as folder, opened(folder) as keeper:
        ours = keeper.check(OrderIntent(symbol="BTCUSDT", side=Side.BUY, qty=QTY, price=PRICE))
        keeper.accepted(ours.client_id, "v1")
        for positions, orders in statements:
            stated = [_as_stated(each, ours.client_id) for each in orders]
            said = {"positions": positions, "open_orders": stated, "adopt": "as the venue says"}
            before = everything(keeper)
            if contradicts_itself(positions, orders):
                with pytest.raises(CallError, match=r"stated twice|neither"):
                    keeper.sync(**said)
                assert everything(keeper) == before
                continue
            report = keeper.sync(**said)
            assert worst_cases(keeper) == expected_worst_cases(orders)
            known = {(p.symbol, p.position_side): p.qty for p in keeper._post.account.positions() if p.qty}
            assert known == {(p.symbol, p.position_side): p.qty for p in positions if p.qty}
            missing = MismatchKind.ORDER_MISSING_ON_EXCHANGE in {each.kind for each in report.mismatches}
            assert missing is not any(map(is_ours, orders))
            after = everything(keeper)
            assert (keeper.sync(**said), everything(keeper)) == (report, after)


def _as_stated(each: VenueOrder, client_id: str) -> VenueOrder:
    """Our own order is stated as it is; its id on another symbol or side is somebody else's doing."""
    if each.client_id != OURS:
        return each
    figures = {"qty": QTY, "price": PRICE} if is_ours(each) else {}
    return msgspec.structs.replace(each, client_id=client_id, **figures)
