"""Where Binance and Bybit differ: codes, post-only, clipping, prices that are moved, ids."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from grinder import Accepted, Amended, Cancelled, OrderState, Rejected, Side, TimeInForce
from grinder_exchange_paper.dialect import BINANCE, BYBIT, dialect

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
IOC, GTC, GTX = TimeInForce.IOC, TimeInForce.GTC, TimeInForce.GTX


@pytest.fixture
def bybit(make_rig):
    """A rig with Bybit's rules, 5 displayed at 100.0 and 100.1."""
    rig = make_rig(rules="bybit", balance=4000)
    rig.book([("100.0", "5")], [("100.1", "5")])
    return rig


def test_auto_is_the_venue_that_stated_every_instrument(instrument):
    stated = msgspec.structs.replace(instrument, source="instruments-info")
    assert dialect("auto", [stated, stated]) is BYBIT
    assert dialect("auto", [stated, instrument]) is BINANCE
    assert dialect("auto", []) is BINANCE
    assert dialect("binance", [stated]) is BINANCE


@pytest.mark.parametrize(
    ("code", "order"),
    [
        ("10001", {"qty": "1", "price": "100.05"}),
        ("10001", {"qty": "0.0009", "price": "100.0"}),
        ("10001", {"qty": "1000.001", "price": "100.0"}),
        ("10001", {"qty": "1", "price": "100.0", "symbol": "DOGEUSDT"}),
        ("110094", {"qty": "0.049", "price": "100.0"}),
        ("110017", {"qty": "1", "price": "100.0", "reduce_only": True}),
        ("110007", {"qty": "802", "price": "99.8"}),
    ],
)
def test_its_codes(bybit, code, order):
    bybit.buy(**order)
    bybit.settle()
    (refused,) = bybit.said(Rejected)
    assert refused.code == code


def test_every_code_of_binance_that_the_venue_uses_has_one_of_bybit():
    from grinder_exchange_paper import rules

    codes = {value.code for value in vars(rules).values() if isinstance(value, rules.Refusal)}
    assert codes - {"-5022"} <= BYBIT.codes.keys()


def test_a_post_only_order_that_would_take_is_accepted_and_cancelled(bybit):
    order = bybit.buy("1", "100.1", GTX)
    bybit.settle()
    assert [type(update) for update in bybit.updates] == [Accepted, Cancelled]
    assert bybit.query(order).state is OrderState.EXPIRED
    assert bybit.fills == []


@pytest.mark.parametrize(("send", "price", "moved"), [("buy", "120.0", "105.0"), ("sell", "80.0", "95.1")])
def test_a_price_that_is_too_aggressive_is_moved(bybit, send, price, moved):
    getattr(bybit, send)("1", price, GTC)
    bybit.settle()
    (amended,) = bybit.said(Amended)
    assert (amended.price, amended.qty) == (D(moved), D(1))
    assert [fill.qty for fill in bybit.fills] == [D(1)]


def test_an_order_that_only_reduces_is_clipped_when_it_arrives(bybit):
    bybit.buy("1", "100.1", IOC)
    bybit.settle()
    order = bybit.sell("3", "100.4", GTC, reduce_only=True)
    bybit.settle()
    (amended,) = bybit.said(Amended)
    assert (amended.client_id, amended.qty) == (order, D(1))


def test_a_client_id_is_used_once(bybit):
    order = bybit.buy("1", "100.0", GTX)
    bybit.cancel(order)
    bybit.settle()
    bybit.buy("1", "100.0", GTX, client_id=order)
    bybit.settle()
    assert [update.code for update in bybit.said(Rejected)] == ["110072"]


@pytest.mark.parametrize(("rules", "most", "code"), [("binance", 200, "-2025"), ("bybit", 500, "110020")])
def test_no_more_orders_rest_than_the_venue_lets(make_rig, rules, most, code):
    rig = make_rig(rules=rules, balance=10**7)
    rig.book([("100.0", "5")], [("100.1", "5")])
    for _ in range(most + 1):
        rig.buy("0.1", "99.9", GTX)
    rig.settle()
    assert [update.code for update in rig.said(Rejected)] == [code]
