"""The account: what open orders reserve, against a recomputation from nothing."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder.engine.account import UNANSWERED, Account, moved
from grinder.types import OpenOrder, OrderState, Position, PositionSide, Route, Side

SYMBOLS = ("BTCUSDT", "ETHUSDT")
LEGS = tuple(PositionSide)
KEYS = [(symbol, side, leg) for symbol in SYMBOLS for side in Side for leg in LEGS]


def order(number: int = 0, *, qty: str = "2", price: str | None = "100", **fields: object) -> OpenOrder:
    """The order of that number; its identity, symbol, side and leg follow from it."""
    symbol, side, leg = KEYS[number % len(KEYS)]
    made = OpenOrder(
        intent_id=f"i{number}",
        client_id=f"c{number}",
        symbol=symbol,
        side=side,
        position_side=leg,
        price=None if price is None else Decimal(price),
        qty=Decimal(qty),
        remaining=Decimal(qty),
        reduce_only=False,
        state=OrderState.INTENT,
        route=Route.PAPER,
        origin="",
        created_ns=0,
    )
    return msgspec.structs.replace(made, **fields)


@st.composite
def updates(draw: st.DrawFn) -> OpenOrder:
    qty = draw(st.decimals("0.001", 1000, places=3))
    return order(
        draw(st.integers(0, 20)),
        qty=str(qty),
        price=draw(st.none() | st.decimals("0.01", 100_000, places=2).map(str)),
        remaining=draw(st.decimals(-1, qty, places=3)),
        reduce_only=draw(st.booleans()),
        state=draw(st.sampled_from(OrderState)),
    )


@given(st.lists(updates(), max_size=60))
@settings(deadline=None, max_examples=200)
def test_reservations_equal_a_recomputation_after_any_sequence_of_updates(sequence):
    account = Account("paper", balance=Decimal(1000), leverage=Decimal(5))
    kept: dict[str, OpenOrder] = {}
    for update in sequence:
        account.put(update)
        if update.state.final:
            kept.pop(update.intent_id, None)
        else:
            kept[update.intent_id] = update  # a known order keeps its place
        left = {each.intent_id: max(each.remaining, Decimal(0)) for each in kept.values()}
        for symbol, side, leg in KEYS:
            same = [o for o in kept.values() if (o.symbol, o.side, o.position_side) == (symbol, side, leg)]
            assert account.worst_case(symbol, side, leg) == sum((left[o.intent_id] for o in same), Decimal(0))
        assert account.unanswered == sum(each.state in UNANSWERED for each in kept.values())
        bound = sum((left[o.intent_id] * o.price for o in kept.values() if o.price and not o.reduce_only), Decimal(0))
        assert account.free_balance == 1000 - bound / 5
        assert account.working() == tuple(kept.values())
        assert len(account._by_client) == len(kept), "final orders leave nothing behind"
        for symbol in SYMBOLS:
            assert account.open_orders(symbol) == tuple(o for o in kept.values() if o.symbol == symbol)
        for number in range(21):
            assert account.order(f"i{number}") == account.by_client(f"c{number}") == kept.get(f"i{number}")


def test_an_order_counts_from_its_decision_until_it_is_final():
    account = Account("paper")
    known = order(state=OrderState.INTENT)
    expected = {
        OrderState.INTENT: ("2", 1),
        OrderState.SENT: ("2", 1),
        OrderState.UNKNOWN: ("2", 1),
        OrderState.OPEN: ("2", 0),
        OrderState.PARTIAL: ("2", 0),
        OrderState.ABSENT: ("0", 0),
        OrderState.FILLED: ("0", 0),
        OrderState.CANCELLED: ("0", 0),
        OrderState.EXPIRED: ("0", 0),
        OrderState.REJECTED: ("0", 0),
    }
    assert set(expected) == set(OrderState)
    for state, (worst, unanswered) in expected.items():
        account.put(moved(known, state, known.remaining))
        assert account.worst_case(known.symbol, known.side) == Decimal(worst)
        assert account.unanswered == unanswered


def test_an_order_that_ended_twice_or_was_never_known_changes_nothing():
    account = Account("paper")
    account.put(order(0))
    for _ in range(2):
        account.put(order(5, state=OrderState.FILLED))
    assert account.working() == (order(0),)
    for _ in range(2):
        account.put(order(0, state=OrderState.CANCELLED))
    assert account.working() == ()
    assert account.worst_case(order(0).symbol, order(0).side) == 0


def test_an_order_filled_beyond_its_quantity_reserves_nothing():
    account = Account("paper", balance=Decimal(0))
    account.put(order(0, remaining=Decimal(-3), state=OrderState.PARTIAL))
    account.put(order(len(KEYS), qty="1"))
    assert account.worst_case(order(0).symbol, order(0).side) == Decimal(1)
    assert account.free_balance == -100
    assert moved(order(), OrderState.PARTIAL, Decimal(-3)).remaining == 0


def test_balance_is_known_once_the_venue_has_stated_it():
    account = Account("venue")
    assert not account.known
    account.earned = Decimal(7)
    account.set_balance(Decimal(500))
    assert (account.known, account.balance) == (True, Decimal(500))
    account.earned = Decimal(4)
    assert account.balance == Decimal(497)


def test_positions_bind_balance_at_entry_and_are_flat_when_unknown():
    account = Account("paper", balance=Decimal(1000), leverage=Decimal(2))
    short = Position("ETHUSDT", PositionSide.BOTH, Decimal(-3), Decimal(100), Decimal(0))
    account.set_position(short)
    assert account.free_balance == 1000 - 150
    assert account.position("ETHUSDT") == short
    assert account.position("ETHUSDT", PositionSide.LONG).qty == 0
    assert account.position("BTCUSDT") == Position("BTCUSDT", PositionSide.BOTH, Decimal(0), Decimal(0), Decimal(0))
    account.set_position(Position("BTCUSDT", PositionSide.BOTH, Decimal(0), Decimal(0), Decimal(9)))
    assert [position.symbol for position in account.positions()] == ["BTCUSDT", "ETHUSDT"]


@pytest.mark.parametrize("name", ["positions", "working"])
def test_what_a_gate_is_shown_is_not_the_account_itself(name):
    account = Account("paper")
    account.put(order())
    assert isinstance(getattr(account, name)(), tuple)
    assert isinstance(account.open_orders(order().symbol), tuple)
