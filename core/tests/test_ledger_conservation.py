"""The ledger: quantity and money are conserved to the last digit, and each fill counts once."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder.errors import StateError
from grinder.journal.ledger import FillError, Ledger, PositionMode, fill_key
from grinder.types import Fill, Payment, PaymentKind, PositionSide, Route, Side

KEY = (Route.PAPER, "paper", "main", "BTCUSDT", PositionSide.BOTH)
D = Decimal


def make_fill(trade_id, side, qty, price, **other):
    fields = {
        "route": Route.PAPER,
        "venue": "paper",
        "account": "main",
        "symbol": "BTCUSDT",
        "position_side": PositionSide.BOTH,
        "client_id": "c",
        "intent_id": "i",
        "fee": D("0"),
        "fee_asset": "USDT",
        "maker": True,
        "exchange_ns": 1,
        "local_ns": 2,
    }
    return Fill(trade_id=str(trade_id), side=side, qty=D(qty), price=D(price), **(fields | other))


def ledger_of(*trades):
    ledger = Ledger()
    for n, (side, qty, price) in enumerate(trades):
        assert ledger.apply(make_fill(n, side, qty, price))
    return ledger


BUY, SELL = Side.BUY, Side.SELL


@pytest.mark.parametrize(
    ("trades", "qty", "entry", "realised"),
    [
        ([(BUY, "1", "100")], "1", "100", "0"),
        ([(BUY, "1", "100"), (BUY, "3", "104")], "4", "103", "0"),
        ([(BUY, "4", "103"), (SELL, "1", "110")], "3", "103", "7"),
        ([(BUY, "4", "103"), (SELL, "4", "110")], "0", "0", "28"),
        ([(BUY, "4", "103"), (SELL, "5", "110")], "-1", "110", "28"),
        ([(SELL, "2", "50")], "-2", "50", "0"),
        ([(SELL, "2", "50"), (SELL, "2", "60")], "-4", "55", "0"),
        ([(SELL, "4", "55"), (BUY, "1", "45")], "-3", "55", "10"),
        ([(SELL, "4", "55"), (BUY, "6", "45")], "2", "45", "40"),
        (
            [(BUY, "1", "1"), (BUY, "1", "2"), (BUY, "1", "2"), (SELL, "1", "2")],
            "2",
            "1.666666666666666666666666667",
            None,
        ),
    ],
)
def test_examples(trades, qty, entry, realised):
    position = ledger_of(*trades).position(KEY)
    assert position.qty == D(qty)
    assert position.entry_price == D(entry)
    assert realised is None or position.realised == D(realised)


def test_exact_results_carry_no_needless_digits():
    ledger = ledger_of((BUY, "0.3", "100.5"), (SELL, "0.1", "101.5"))
    assert str(ledger.position(KEY).realised) == "0.10"


amounts = st.decimals(min_value=D("1E-8"), max_value=D(1_000_000), allow_nan=False, allow_infinity=False, places=8)
trades = st.lists(st.tuples(st.sampled_from(Side), amounts, amounts), min_size=1, max_size=40)


@settings(deadline=None, max_examples=300)
@given(trades=trades, mark=amounts)
def test_quantity_and_money_are_conserved_exactly(trades, mark):
    ledger = ledger_of(*trades)
    holding = ledger.holding(KEY)
    qty = sum(Fraction(side.sign) * Fraction(q) for side, q, _ in trades)
    cash = -sum(Fraction(side.sign) * Fraction(q) * Fraction(p) for side, q, p in trades)
    assert Fraction(holding.qty) == qty
    assert Fraction(holding.realised) + Fraction(holding.unrealised(mark)) == cash + qty * Fraction(mark)
    assert Fraction(holding.volume) == sum(Fraction(q) * Fraction(p) for _, q, p in trades)
    if not qty:
        assert holding.cost == 0
        assert Fraction(holding.realised) == cash


def average_cost(trades):
    """The textbook: realised PnL and average price, in exact fractions."""
    qty = cost = realised = Fraction(0)
    for side, q, p in trades:
        traded, price = side.sign * Fraction(q), Fraction(p)
        if qty * traded < 0:
            closed = min(abs(qty), abs(traded))
            sign = 1 if qty > 0 else -1
            entry = cost / qty
            realised += (price - entry) * closed * sign
            qty -= sign * closed
            cost = entry * qty
            traded += sign * closed
        qty += traded
        cost += traded * price
    return qty, cost, realised


@settings(deadline=None, max_examples=300)
@given(trades=trades)
def test_realised_and_entry_agree_with_exact_fractions(trades):
    position = ledger_of(*trades).position(KEY)
    qty, cost, realised = average_cost(trades)
    assert Fraction(position.qty) == qty
    assert abs(Fraction(position.realised) - realised) < Fraction(1, 10**35)
    if qty:
        assert abs(Fraction(position.entry_price) - cost / qty) <= abs(cost / qty) * Fraction(1, 10**27)


@settings(deadline=None, max_examples=100)
@given(fees=st.lists(st.tuples(st.sampled_from(["USDT", "BNB"]), st.decimals("-5", "5", places=8)), max_size=20))
def test_fees_keep_sign_and_asset(fees):
    ledger = Ledger()
    for n, (asset, fee) in enumerate(fees):
        ledger.apply(make_fill(n, BUY, "1", "1", fee=fee, fee_asset=asset, maker=fee < 0))
    holding = ledger.holding(KEY)
    assert holding.fees == {
        asset: sum(fee for a, fee in fees if a == asset) for asset in dict.fromkeys(a for a, _ in fees)
    }
    assert (holding.maker_fills, holding.taker_fills) == (
        sum(fee < 0 for _, fee in fees),
        sum(fee >= 0 for _, fee in fees),
    )


@settings(deadline=None, max_examples=100)
@given(data=st.data(), trades=trades)
def test_duplicates_change_nothing(data, trades):
    once = [make_fill(n, *trade) for n, trade in enumerate(trades)]
    again = data.draw(st.lists(st.integers(0, len(once) - 1), max_size=30))
    ledger, plain = Ledger(), Ledger()
    for n, fill in enumerate(once):
        assert plain.apply(fill)
        assert ledger.apply(fill)
        assert not any(ledger.apply(once[k]) for k in again if k <= n)
    assert dict(ledger.holdings()) == dict(plain.holdings())
    assert ledger.fills == len(once)


def test_a_trade_id_is_unique_within_venue_account_and_symbol_only():
    ledger = Ledger()
    base = make_fill(1, BUY, "1", "10")
    others = [{"venue": "bybit"}, {"account": "sub"}, {"symbol": "ETHUSDT"}]
    assert ledger.apply(base)
    assert all(ledger.apply(make_fill(1, BUY, "1", "10", **other)) for other in others)
    # The same trade reported under another route or side is the same trade.
    assert not ledger.apply(make_fill(1, BUY, "1", "10", route=Route.FULL))
    assert [position.qty for _, position in ledger.positions()] == [1, 1, 1, 1]


def test_hedge_mode_keeps_the_sides_apart():
    ledger = Ledger(PositionMode.HEDGE)
    ledger.apply(make_fill(1, BUY, "2", "100", position_side=PositionSide.LONG))
    ledger.apply(make_fill(2, SELL, "3", "110", position_side=PositionSide.SHORT))
    ledger.apply(make_fill(3, SELL, "1", "120", position_side=PositionSide.LONG))
    long, short = (position for _, position in ledger.positions())
    assert (long.position_side, long.qty, long.entry_price, long.realised) == (PositionSide.LONG, 1, 100, 20)
    assert (short.position_side, short.qty, short.entry_price, short.realised) == (PositionSide.SHORT, -3, 110, 0)
    assert ledger.unexpected_sides == 0


def test_a_side_that_the_mode_does_not_have_is_booked_and_counted():
    ledger = Ledger(PositionMode.ONE_WAY)
    assert ledger.apply(make_fill(1, BUY, "2", "100", position_side=PositionSide.LONG))
    assert ledger.unexpected_sides == 1
    assert [position.qty for _, position in ledger.positions()] == [2]


def test_memory_of_keys_is_bounded_and_older_ones_are_asked_for():
    asked = []
    stored = set()

    def is_known(key):
        asked.append(key)
        return key in stored

    ledger = Ledger(remember=10, is_known=is_known)
    fills = [make_fill(n, BUY, "1", "100") for n in range(50)]
    for fill in fills:
        assert ledger.apply(fill)
        stored.add(fill_key(fill))
    assert len(ledger._seen) == 10
    asked.clear()
    assert not any(ledger.apply(fill) for fill in fills)
    assert asked == [fill_key(fill) for fill in fills[:40]]
    assert ledger.position(KEY).qty == 50


def test_nobody_is_asked_before_anything_was_forgotten():
    ledger = Ledger(remember=10, is_known=lambda key: pytest.fail(f"asked for {key}"))
    for n in range(10):
        assert ledger.apply(make_fill(n, BUY, "1", "100"))


def test_without_anybody_to_ask_nothing_is_forgotten():
    ledger = Ledger(remember=10)
    fills = [make_fill(n, BUY, "1", "100") for n in range(50)]
    assert all(map(ledger.apply, fills))
    assert not any(map(ledger.apply, fills))


@pytest.mark.parametrize(
    "wrong",
    [
        {"qty": D("NaN")},
        {"qty": D("Infinity")},
        {"qty": D(0)},
        {"qty": D(-1)},
        {"qty": D("1E+21")},
        {"price": D("sNaN")},
        {"price": D(0)},
        {"price": D("-5")},
        {"price": D("1E-30")},
        {"price": D("1." + "3" * 60)},
        {"fee": D("NaN")},
        {"exchange_ns": -1},
        {"exchange_ns": 2**63},
        {"local_ns": 2**64},
    ],
)
def test_a_fill_that_makes_no_sense_is_refused_and_changes_nothing(wrong):
    ledger = ledger_of((BUY, "1", "100"))
    before = dict(ledger.holdings())
    fields = {"qty": D(1), "price": D(100)} | wrong
    fill = make_fill("bad", BUY, fields.pop("qty"), fields.pop("price"), **fields)
    with pytest.raises(FillError, match=r"trade 'bad' of paper cannot be booked: .*BTCUSDT"):
        ledger.apply(fill)
    assert dict(ledger.holdings()) == before
    assert ledger.fills == 1
    # It was not counted, so the venue's corrected version of it still can be.
    assert ledger.apply(make_fill("bad", BUY, "1", "100"))
    assert issubclass(FillError, StateError)


def make_payment(payment_id, amount, kind=PaymentKind.FUNDING, at_ns=5, **other):
    return Payment(
        kind=kind,
        payment_id=payment_id,
        route=KEY[0],
        venue=KEY[1],
        account=KEY[2],
        symbol=KEY[3],
        position_side=KEY[4],
        amount=D(amount),
        asset="USDT",
        at_ns=at_ns,
        local_ns=at_ns,
        **other,
    )


def test_a_payment_counts_once_and_is_not_a_trade():
    ledger = ledger_of((BUY, "0.5", "60000"))
    assert ledger.pay(make_payment("1", "-3"))
    assert not ledger.pay(make_payment("1", "-3"))
    assert ledger.pay(make_payment("2", "1.5"))
    assert ledger.pay(make_payment("1", "-7", PaymentKind.LIQUIDATION_FEE)), "ids are unique within a kind"
    holding = ledger.holding(KEY)
    assert holding.payments == {PaymentKind.FUNDING: D("-1.5"), PaymentKind.LIQUIDATION_FEE: D(-7)}
    assert holding.received == D("-8.5")
    assert (holding.qty, holding.realised, holding.fees) == (D("0.5"), D(0), {"USDT": D(0)})


def test_payments_that_memory_has_forgotten_are_looked_up():
    asked = []

    def is_paid(key):
        asked.append(key)
        return True

    ledger = Ledger(remember=2, is_known=lambda key: False, is_paid=is_paid)
    for number in range(4):
        ledger.restore_payment(make_payment(str(number), "1"))
    assert not ledger.pay(make_payment("0", "1"))
    assert asked == [("paper", "main", "FUNDING", "0")]
    assert not ledger.pay(make_payment("3", "1"))
    assert len(asked) == 1, "the latest are remembered"


@pytest.mark.parametrize(("at_ns", "amount"), [(-5, "1"), (2**63, "1"), (5, "NaN"), (5, "1E+30")])
def test_a_payment_that_makes_no_sense_is_refused(at_ns, amount):
    ledger = Ledger()
    with pytest.raises(FillError, match="payment '1' of paper cannot be booked"):
        ledger.pay(make_payment("1", amount, at_ns=at_ns))
    assert ledger.pay(make_payment("1", "1"))
