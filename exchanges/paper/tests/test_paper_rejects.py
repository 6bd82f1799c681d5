"""Each of the venue's refusals, with its code; what is refused leaves no order behind."""

from __future__ import annotations

import pytest

from grinder import Accepted, CancelRejected, NotFound, PositionSide, Rejected, Side, TimeInForce

IOC, GTX = TimeInForce.IOC, TimeInForce.GTX
LONG, SHORT, BOTH = PositionSide.LONG, PositionSide.SHORT, PositionSide.BOTH

ORDERS = {
    "-1121": {"qty": "1", "price": "100.0", "symbol": "DOGEUSDT"},
    "-4014": {"qty": "1", "price": "100.05"},
    "-4001": {"qty": "1", "price": "0"},
    "-4002": {"qty": "1", "price": "1e30"},
    "-4003": {"qty": "0", "price": "100.0"},
    "-4004": {"qty": "0.0009", "price": "100.0"},
    "-4005": {"qty": "1000.001", "price": "100.0"},
    "-4023": {"qty": "1.0005", "price": "100.0"},
    "-1130": {"qty": "NaN", "price": "100.0"},
    "-4016": {"qty": "1", "price": "105.2"},
    "-4164": {"qty": "0.049", "price": "100.0"},
    "-4061": {"qty": "1", "price": "100.0", "position_side": LONG},
    "-2022": {"qty": "1", "price": "100.0", "reduce_only": True},
    "-2019": {"qty": "802", "price": "99.8", "tif": GTX},
    "-1106": {"qty": "1", "price": None, "tif": GTX},
    "-5022": {"qty": "1", "price": "100.1", "tif": GTX},
}


@pytest.mark.parametrize(("code", "order"), ORDERS.items(), ids=ORDERS)
def test_a_placement_is_refused_with_its_code(make_rig, code, order):
    rig = make_rig(balance=4000)
    rig.book([("100.0", "5")], [("100.1", "5")])
    client_id = rig.buy(**order)
    rig.settle()
    (update,) = rig.updates
    assert isinstance(update, Rejected)
    assert (update.client_id, update.code) == (client_id, code)
    assert update.at_ns == rig.now - 15_000_000
    assert rig.query(client_id) == NotFound(client_id)
    assert not rig.exchange.state.orders.open


@pytest.mark.parametrize(
    "order",
    [
        {"qty": "0.001", "price": "100.0", "symbol": "BTCUSDT", "reduce_only": True},
        {"qty": "1000", "price": "100.0"},
        {"qty": "0.05", "price": "100.0"},
        {"qty": "1", "price": "105.0", "tif": IOC},
    ],
    ids=["reduce-only below the notional", "largest", "smallest notional", "at the collar"],
)
def test_the_last_value_that_is_allowed(make_rig, order):
    rig = make_rig(balance=1_000_000)
    rig.book([("100.0", "5")], [("100.1", "5")])
    rig.sell("1", "100.0", IOC)
    rig.settle()
    rig.book([("99.9", "5")], [("100.1", "5")])
    rig.updates.clear()
    rig.buy(**order)
    rig.settle()
    assert isinstance(rig.updates[0], Accepted)


def test_a_sell_has_a_floor(make_rig):
    rig = make_rig()
    rig.book([("99.9", "5")], [("100.1", "5")])
    rig.sell("1", "94.9", IOC)
    rig.sell("1", "95.0", IOC)
    rig.settle()
    assert [(r.client_id, r.code, r.text) for r in rig.said(Rejected)] == [
        ("c1", "-4024", "Limit price can't be lower than 95.0.")
    ]


def test_a_market_order_needs_a_market(make_rig):
    rig = make_rig()
    rig.buy("1")
    assert rig.answer().code == "-2020"


def test_a_limit_order_needs_none(make_rig):
    rig = make_rig()
    rig.buy("1", "100.0", GTX)
    rig.settle()
    assert [type(update) for update in rig.updates] == [Accepted]


def test_a_client_id_is_unique_among_open_orders(rig):
    rig.buy("1", "99.0", client_id="mine")
    rig.buy("1", "99.1", client_id="mine")
    rig.settle()
    assert [(type(update), update.client_id) for update in rig.updates] == [(Accepted, "mine"), (Rejected, "mine")]
    assert rig.updates[1].code == "-4116"
    rig.cancel("mine")
    rig.buy("1", "99.2", client_id="mine")
    rig.settle()
    assert isinstance(rig.updates[-1], Accepted)


def test_margin_counts_open_orders_and_positions_at_their_worst(make_rig):
    rig = make_rig(balance=100, leverage=10)  # 1000 of notional
    rig.book([("100.0", "50")], [("100.1", "50")])
    rig.buy("4", "100.0", GTX)
    rig.sell("9", "100.1", GTX)  # the other side nets: the worst is the larger one
    rig.buy("6.001", "100.0", GTX)
    rig.buy("6", "100.0", GTX)
    rig.settle()
    assert [(type(u), u.client_id) for u in rig.updates] == [
        (Accepted, "c1"),
        (Accepted, "c2"),
        (Rejected, "c3"),
        (Accepted, "c4"),
    ]
    assert rig.updates[2].code == "-2019"


def test_margin_that_a_fill_or_a_cancel_frees_can_be_used(make_rig):
    rig = make_rig(balance=100, leverage=10)
    rig.book([("100.0", "50")], [("100.1", "50")])
    first = rig.buy("9", "100.0", GTX)
    rig.settle()
    rig.trade("99.9", "4", Side.SELL)
    rig.cancel(first)
    rig.settle()
    rig.buy("5.9", "100.0", GTX)  # 4 held and 5.9 open
    rig.buy("0.2", "100.0", GTX)
    rig.settle()
    assert [r.client_id for r in rig.said(Rejected)] == ["c4"]


def test_an_order_that_does_not_raise_the_worst_case_passes_however_little_is_left(make_rig):
    rig = make_rig(balance=100, leverage=10, taker_fee="0.5")  # the fee eats the wallet
    rig.book([("100.0", "50")], [("100.1", "50")])
    rig.buy("9", "100.1", IOC)
    rig.settle()
    assert rig.exchange.state.account.balance < 0
    rig.buy("1", "100.0", GTX)
    rig.sell("1", "100.1", GTX)
    rig.settle()
    assert [r.client_id for r in rig.said(Rejected)] == ["c2"]


def test_hedge_mode_wants_a_side_and_refuses_reduce_only_that_opens(make_rig):
    rig = make_rig(position_mode="hedge")
    rig.book([("100.0", "50")], [("100.1", "50")])
    rig.buy("1", "100.0", position_side=BOTH)
    rig.buy("1", "100.0", position_side=LONG, reduce_only=True)
    rig.sell("1", "100.1", position_side=LONG)
    rig.settle()
    assert [update.code for update in rig.said(Rejected)] == ["-4061", "-1106", "-2022"]


@pytest.mark.parametrize("target", ["never", "final"])
def test_cancel_and_amend_of_what_is_not_open(rig, target):
    rig.buy("1", "100.1", IOC, client_id="final")
    rig.settle()
    rig.cancel(target)
    rig.amend(target, "1", "100.0")
    rig.settle()
    assert [(u.client_id, u.code, u.text) for u in rig.said(CancelRejected)] == [
        (target, "-2011", "Unknown order sent."),
        (target, "-2013", "Order does not exist."),
    ]


def test_a_cancel_names_the_symbol_of_its_order(rig):
    order = rig.buy("1", "99.0")
    rig.cancel(order, symbol="ETHUSDT")
    rig.settle()
    assert [u.code for u in rig.said(CancelRejected)] == ["-2011"]
    assert order in rig.exchange.state.orders.open
