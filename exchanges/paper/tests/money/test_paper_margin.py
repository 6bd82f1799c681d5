"""Margin arithmetic: worked cases of the venues, and what a liquidation price means."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from grinder import Side
from grinder_exchange_paper import brackets, margin
from grinder_exchange_paper.brackets import BINANCE, BYBIT, Bracket, Brackets
from grinder_exchange_paper.margin import Leg, bankruptcy_price, leg, liquidation_price, liquidation_price_by_entry

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
BTC = BINANCE["BTCUSDT"]


def flat(mmr, cum="0", closing="0"):
    """One bracket for everything."""
    return Brackets([Bracket(D(10**12), D(mmr), D(1), D(cum))], D(closing))


def legs(*pairs):
    return [leg(D(qty), D(entry)) for qty, entry in pairs]


# Binance. Each case: wallet, legs (signed quantity, entry), price at four decimals. The mark is the entry.
# B1 by hand: wallet 5000, long 1 @ 50000. (5000 - 50000) / (1 x 0.004 - 1) = -45000 / -0.996 = 45180.72289...
# B3 opens in bracket 2 (500,000: 0.005, cum 300): (25000 - 500000 + 300) / (10 x 0.005 - 10) = 474700 / 9.95.
# B5 opens in bracket 1 (294,000), (29400 + 294000) / (6 x 0.004 + 6) = 53685.2590, worth 322,112: bracket 2, so
#   (29400 + 294000 + 300) / (6 x 0.005 + 6) = 323700 / 6.03 = 53681.5920.
# B8 has 1500 of loss and 500 of maintenance margin elsewhere: 10000 - 500 - 1500 = 8000; 42000 / 0.996.
# B10: 10000 - 2 x 50000 + 52000 = -38000, over 3 x 0.004 - 2 + 1 = -0.988.
BINANCE_CASES = {
    "B1": ("5000", [("1", "50000")], "45180.7229"),
    "B2": ("5000", [("-1", "50000")], "54780.8765"),
    "B3": ("25000", [("10", "50000")], "47708.5427"),
    "B4": ("25000", [("-10", "50000")], "52268.6567"),
    "B5": ("29400", [("-6", "49000")], "53681.5920"),
    "B6": ("10000", [("1", "50000")], "40160.6426"),
    "B7": ("10000", [("-1", "50000")], "59760.9562"),
    "B8": ("8000", [("1", "50000")], "42168.6747"),
    "B9": ("8000", [("-1", "50000")], "57768.9243"),
    "B10": ("10000", [("2", "50000"), ("-1", "52000")], "38461.5385"),
    "B11": ("10000", [("1", "50000"), ("-2", "52000")], "63241.1067"),
}


@pytest.mark.parametrize("name", BINANCE_CASES)
def test_binance_liquidation_prices(name):
    wallet, positions, expected = BINANCE_CASES[name]
    price = liquidation_price(D(wallet), legs(*positions), BTC, D(positions[0][1]))
    assert f"{price:.4f}" == expected


def test_binance_b5_in_the_first_bracket_alone_would_be_another_price():
    price = liquidation_price(D(29400), legs(("-6", "49000")), flat("0.004"), D(49000))
    assert f"{price:.4f}" == "53685.2590"


def test_binance_b1_leaves_the_maintenance_margin():
    """180.7229 of margin is left at the price, which is what 45,180.7229 needs at 0.004."""
    (position,) = legs(("1", "50000"))
    price = liquidation_price(D(5000), [position], BTC, D(50000))
    left = 5000 + margin.unrealised(position, price)
    assert f"{left:.4f}" == f"{BTC.maintenance(margin.notional(position.qty, price)):.4f}" == "180.7229"


def test_binance_b13_two_cross_positions_of_the_faq():
    """Each position's price follows from the other's PnL and maintenance margin at the mark."""
    wallet = D("1535443.01")
    btc, eth = legs(("109.488", "32481.98"), ("3683.979", "1456.84"))
    btc_mark, eth_mark = D("31967.27"), D("1335.18")
    btc_rows, eth_rows = flat("0.025", "16300"), flat("0.10", "135365")
    others_of_btc = margin.unrealised(eth, eth_mark) - eth_rows.maintenance(margin.notional(eth.qty, eth_mark))
    others_of_eth = margin.unrealised(btc, btc_mark) - btc_rows.maintenance(margin.notional(btc.qty, btc_mark))
    assert f"{liquidation_price(wallet + others_of_btc, [btc], btc_rows, btc_mark):.2f}" == "26316.89"
    assert f"{liquidation_price(wallet + others_of_eth, [eth], eth_rows, eth_mark):.2f}" == "1153.26"


# Bybit, MMR 0.005 and no deduction. Y1 by hand: 20000 - (400 - 100) / 1 by entry; (20000 - 400) / 0.995 by mark.
BYBIT_CASES = {
    "Y1": (("1", "20000"), 50, "0", "19700.0000", "19698.4925"),
    "Y2": (("-1", "20000"), 50, "0", "20300.0000", "20298.5075"),
    "Y3": (("-1", "20000"), 50, "3000", "23300.0000", "23283.5821"),
    "Y4": (("2", "50000"), 10, "0", "45250.0000", "45226.1307"),
    "Y5": (("-2", "50000"), 10, "0", "54750.0000", "54726.3682"),
}


@pytest.mark.parametrize("name", BYBIT_CASES)
def test_bybit_isolated_liquidation_prices(name):
    position, leverage, extra, by_entry, by_mark = BYBIT_CASES[name]
    (one,) = legs(position)
    assert f"{liquidation_price_by_entry(one, leverage, BYBIT, D(extra)):.4f}" == by_entry
    wallet = margin.initial(abs(one.cost), leverage) + D(extra)
    assert f"{liquidation_price(wallet, [one], BYBIT, D(position[1])):.4f}" == by_mark


@pytest.mark.parametrize(
    ("positions", "closing", "expected"),
    [
        ([("1", "50000")], "0", "40201.0050"),  # Y6: 40000 / 0.995
        ([("1", "50000")], "0.00055", "40223.2390"),  # with the taker fee to close: 40000 / 0.99445
        ([("-1", "50000")], "0", "59701.4925"),  # Y7: 60000 / 1.005
        ([("-1", "50000")], "0.00055", "59668.8379"),
        ([("2", "50000"), ("-1", "52000")], "0", "38578.6802"),  # Y8: 38000 / 0.985
        ([("1", "50000"), ("-2", "52000")], "0", "63054.1872"),  # Y9: 64000 / 1.015
    ],
)
def test_bybit_cross_liquidation_prices(positions, closing, expected):
    rows = Brackets(BYBIT.rows, D(closing))
    price = liquidation_price(D(10000), legs(*positions), rows, D(50000))
    # the venue publishes an estimate only: the sheet's figures, to a hundredth of a cent
    assert abs(price - D(expected)) <= D("0.0001")


@pytest.mark.parametrize(
    ("position", "leverage", "price"),
    [
        (("1", "50000"), 10, "45000"),
        (("-1", "50000"), 10, "55000"),
        (("2", "50000"), 10, "45000"),
        (("-2", "50000"), 10, "55000"),
        (("0.003", "60961.7"), 20, "57913.615"),
    ],
)
def test_bankruptcy_price_of_an_isolated_position(position, leverage, price):
    (one,) = legs(position)
    assert bankruptcy_price(margin.initial(abs(one.cost), leverage), [one]) == D(price)


def test_a_position_that_cannot_lose_its_margin_has_neither_price():
    (long,) = legs(("1", "50000"))
    assert liquidation_price(D(50000), [long], BTC, D(50000)) is None
    assert bankruptcy_price(D(50000), [long]) is None
    assert liquidation_price(D(49999), [long], BTC, D(50000)) is not None
    assert liquidation_price_by_entry(long, 1, BTC, D(200)) is None


def test_a_hedge_that_cancels_has_no_bankruptcy_price_and_is_liquidated_when_it_grows():
    """Its PnL is 0 at any price, but its maintenance margin rises with the price: 1200 + 1200 at 300,000."""
    pair = legs(("6", "50000"), ("-6", "50000"))
    assert bankruptcy_price(D(2400), pair) is None
    assert liquidation_price(D(2400), pair, BTC, D(50000)) == 50000


def test_the_bracket_of_the_mark_does_not_hide_a_price_in_a_lower_one():
    """Marked high, the rate of the high bracket would put the price below zero; it lies in the first bracket."""
    position = Leg(D(1000), D(1000) * 100)
    assert liquidation_price(D(99_000), [position], BTC, D(1_500_000)) == D(1000) / D(996)


def test_order_cost_of_the_venues_example():
    """1 BTC at 9253.30, 20x, mark 9259.84. The text of 2020 assumes the order's own price on both sides."""
    price, mark = D("9253.30"), D("9259.84")
    assert margin.order_cost(BUY, D(1), price, mark=mark, leverage=20) == D("462.665")
    assert margin.initial(price, 20) + margin.open_loss(SELL, D(1), price, mark) == D("469.205")


def test_order_cost_of_a_sell_order_assumes_a_higher_price():
    price, mark, last = D("9253.30"), D("9259.84"), D(9258)
    assert margin.assumed_price(SELL, price, mark) == mark
    assert margin.assumed_price(SELL, price, mark, last) == D("9271.887")  # 9258 x 1.0015
    assert margin.assumed_price(SELL, D(9300), mark, last) == 9300
    assert margin.assumed_price(BUY, price, mark, last) == price
    # initial margin 463.59435, open loss 6.54
    assert margin.order_cost(SELL, D(1), price, mark=mark, leverage=20, last=last) == D("470.13435")


def test_an_order_on_the_better_side_of_the_mark_has_no_open_loss():
    assert margin.open_loss(BUY, D(2), D(99), D(100)) == 0
    assert margin.open_loss(BUY, D(2), D(101), D(100)) == 2
    assert margin.open_loss(SELL, D(2), D(101), D(100)) == 0
    assert margin.open_loss(SELL, D(2), D(99), D(100)) == 2


def test_margin_ratio():
    assert margin.ratio(D(50), D(200)) == D("0.25")
    assert margin.ratio(D(0), D(-5)) == 0
    assert margin.ratio(D(50), D(0)) == margin.ratio(D(50), D(-1)) == D("Infinity")


def test_initial_margin_with_a_fee_to_close():
    assert margin.initial(D(50000), 10) == 5000
    assert margin.initial(D(50000), 10, D("0.00055")) == D("5027.5")


sizes = st.integers(-(10**6), 10**6).filter(bool).map(lambda lots: D(lots).scaleb(-3))
prices = st.integers(1000, 10**7).map(lambda ticks: D(ticks).scaleb(-2))
tables = st.sampled_from([BINANCE["BTCUSDT"], BINANCE["ETHUSDT"], BYBIT, brackets.DEFAULT])


def surplus(wallet, positions, rows, price):
    """Margin beyond the maintenance margin at a price."""
    needed = sum(rows.maintenance(abs(each.qty) * price) for each in positions)
    return wallet + sum(margin.unrealised(each, price) for each in positions) - needed


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(sizes, prices), min_size=1, max_size=2), st.integers(-(10**6), 10**9), prices, tables)
def test_at_the_liquidation_price_nothing_is_left_beyond_the_maintenance_margin(pairs, wallet, mark, rows):
    positions = [leg(qty, entry) for qty, entry in pairs]
    price = liquidation_price(D(wallet), positions, rows, mark)
    if price is not None:
        scale = max(abs(each.cost) + abs(each.qty) * price for each in positions) + abs(wallet)
        assert abs(surplus(D(wallet), positions, rows, price)) <= scale * D("1e-24")


@settings(deadline=None, max_examples=300)
@given(sizes, prices, st.integers(1, 10**9), tables)
def test_before_the_liquidation_price_margin_suffices_and_beyond_it_does_not(qty, entry, wallet, rows):
    """A single position, which has at most one such price, on the side where it loses."""
    position = leg(qty, entry)
    price = liquidation_price(D(wallet), [position], rows, entry)
    if price is None:
        assert qty > 0
        assert surplus(D(wallet), [position], rows, D("1e-9")) > 0
        return
    assume(price > D("1e-6"))
    better, worse = (D("1.0001"), D("0.9999")) if qty > 0 else (D("0.9999"), D("1.0001"))
    assert surplus(D(wallet), [position], rows, price * better) > 0
    assert surplus(D(wallet), [position], rows, price * worse) < 0
