"""The account, worked by hand to the last digit: fills, fees, funding, isolated wallets."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from grinder import PositionSide, Side, StateError
from grinder_exchange_paper.entries import Cleared, Corrected, Entry, Funded, Insured, MarginSet, Moved
from grinder_exchange_paper.funding import Due
from grinder_exchange_paper.log import Began, Record

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
BOTH, LONG, SHORT = PositionSide.BOTH, PositionSide.LONG, PositionSide.SHORT
BTC, ETH = "BTCUSDT", "ETHUSDT"


# Each case: fills (signed quantity, price, fee), then quantity, entry price, realised PnL, fees, balance.
FILLS = {
    "a long position gains": ([("1", "50000", "10"), ("-1", "50100", "10.02")], "0", None, "100", "20.02", "10079.98"),
    "a short position gains": ([("-1", "50000", "10"), ("1", "49900", "9.98")], "0", None, "100", "19.98", "10080.02"),
    # (50000 + 51000) / 2; -0.5 realises 0.5 x (52000 - 50500) = 750; -1.5 realises 1.5 x (49000 - 50500) = -2250,
    # and 0.5 are sold short at 49000: -1500 in total
    "averaging and crossing zero": (
        [("1", "50000", "0"), ("1", "51000", "0"), ("-0.5", "52000", "0"), ("-2", "49000", "0")],
        "-0.5",
        "49000",
        "-1500",
        "0",
        "8500",
    ),
    "a maker's rebate": ([("2", "50000", "-5")], "2", "50000", "0", "-5", "10005"),
    "a taker's fee": ([("0.013", "60961.7", "0.39625105")], "0.013", "60961.7", "0", "0.39625105", "9999.60374895"),
    # cost 3 x 10 + 4 x 10.1 = 70.4 for 7; closing 1 costs 70.4 / 7 = 10.057142857..., so 11 - that = 0.94285714|28;
    # what the rounding left stays in the cost: 70.4 - (11 - 0.94285714) = 60.34285714
    "an entry that does not come out even": (
        [("3", "10", "0"), ("4", "10.1", "0"), ("-1", "11", "0")],
        "6",
        "10.05714285666666666666666667",
        "0.94285714",
        "0",
        "10000.94285714",
    ),
    "and is realised in full": (
        [("3", "10", "0"), ("4", "10.1", "0"), ("-1", "11", "0"), ("-6", "11", "0")],
        "0",
        None,
        "6.6",  # 77 - 70.4
        "0",
        "10006.6",
    ),
}


@pytest.mark.parametrize("name", FILLS)
def test_fills(make_wallet, name):
    steps, qty, entry, realised, paid, balance = FILLS[name]
    wallet = make_wallet()
    for delta, price, fee in steps:
        wallet.fill(delta, price, fee=fee)
    account, holding = wallet.account, wallet.hold()
    assert (account.qty(BTC, BOTH), account.realised, account.fees) == (D(qty), D(realised), D(paid))
    assert account.balance == D(balance)
    assert (holding.cost / holding.qty if holding.qty else None) == (D(entry) if entry else None)


# Funding: position, mark, rates of the instants, then what was received and the balance.
FUNDING = {
    "long pays": ("1", "50000", ["0.0001"], "-5", "9995"),
    "short receives": ("-1", "50000", ["0.0001"], "5", "10005"),
    "long receives at a negative rate": ("1", "50000", ["-0.0001"], "5", "10005"),
    "short pays at a negative rate": ("-1", "50000", ["-0.0001"], "-5", "9995"),
    "two instants": ("2", "50000", ["0.0001", "-0.00025"], "15", "10015"),  # -10 + 25
    "half up": ("0.001", "0.05", ["0.0001"], "-0.00000001", "9999.99999999"),
}


@pytest.mark.parametrize("name", FUNDING)
def test_funding(make_wallet, name):
    qty, mark, rates, received, balance = FUNDING[name]
    wallet = make_wallet().fill(qty, "50000")
    for rate in rates:
        wallet.fund(mark, rate)
    assert (wallet.account.funding, wallet.account.balance) == (D(received), D(balance))


def test_both_legs_of_a_hedge_have_funding_of_their_own(make_wallet):
    wallet = make_wallet(hedge=True).fill("2", "50000", side=LONG).fill("-1", "50000", side=SHORT)
    owed = wallet.account.owed(BTC, Due(9, D(50000), D("0.0001")))
    assert [(each.position_side, each.amount) for each in owed] == [(LONG, D(-10)), (SHORT, D(5))]


def test_a_position_has_no_funding_for_an_instant_before_it_was_opened(make_wallet):
    wallet = make_wallet().fill("1", "50000")
    opened = wallet.now
    assert wallet.account.owed(BTC, Due(opened, D(50000), D("0.0001"))) == ()
    assert wallet.account.owed(ETH, Due(9, D(50000), D("0.0001"))) == ()
    assert len(wallet.account.owed(BTC, Due(opened + 1, D(50000), D("0.0001")))) == 1
    wallet.fill("1", "50000")  # more of the same: it was open already
    assert len(wallet.account.owed(BTC, Due(opened + 1, D(50000), D("0.0001")))) == 1
    wallet.fill("-3", "50000")  # the other side: a new position
    assert wallet.account.owed(BTC, Due(wallet.now, D(50000), D("0.0001"))) == ()
    wallet.fill("1", "50000")
    assert wallet.account.owed(BTC, Due(99, D(50000), D("0.0001"))) == ()


def test_an_instant_is_paid_once(make_wallet):
    wallet = make_wallet().fill("1", "50000").fund("50000", "0.0001")
    due = Due(wallet.now, D(50000), D("0.0001"))
    assert wallet.account.owed(BTC, due) == ()
    assert wallet.account.contract(BTC).last_funding == due
    with pytest.raises(StateError, match="funding of BTCUSDT BOTH at 2: it was paid already"):
        wallet.book(Funded(due.at_ns, BTC, BOTH, due.rate, due.mark, D(-5)))


# Isolated wallets. Each case: steps, then balance, cross wallet, wallet of the position.
ISOLATED = {
    "opening takes notional / leverage along": ([("fill", "1", "50000", "10")], ["9990", "4990", "5000"]),
    # 50000 / 10 + 25500 / 10
    "adding takes more": ([("fill", "1", "50000"), ("fill", "0.5", "51000")], ["10000", "2450", "7550"]),
    # half of 5000 goes back, and 0.5 x 1000 of profit
    "half is closed with profit": ([("fill", "1", "50000"), ("fill", "-0.5", "51000")], ["10500", "8000", "2500"]),
    "half is closed with a loss": ([("fill", "1", "50000"), ("fill", "-0.5", "49000")], ["9500", "7000", "2500"]),
    "all is closed": ([("fill", "-1", "50000"), ("fill", "1", "49000")], ["11000", "11000", "0"]),
    # 5000 goes back, -1000 is realised; 0.5 are opened at 49000: 2450
    "crossing zero": ([("fill", "1", "50000"), ("fill", "-1.5", "49000")], ["9000", "6550", "2450"]),
    "margin is added": ([("fill", "1", "50000"), ("move", "1500.5")], ["10000", "3499.5", "6500.5"]),
    # 6500 x 0.3 = 1950 goes back
    "added margin goes back with what is closed": (
        [("fill", "1", "50000"), ("move", "1500"), ("fill", "-0.3", "50000")],
        ["10000", "5450", "4550"],
    ),
    "margin is taken out": ([("fill", "1", "50000"), ("move", "1500"), ("move", "-700")], ["10000", "4200", "5800"]),
    # 1500.00000001 / 3 = 500.00000000|33 goes back
    "a third of a wallet that does not divide": (
        [("fill", "0.3", "50000"), ("move", "0.00000001"), ("fill", "-0.1", "50000")],
        ["10000", "8999.99999999", "1000.00000001"],
    ),
    # 1500.00000002 / 3 = 500.00000000|67 goes back: half up
    "and one that is rounded up": (
        [("fill", "0.3", "50000"), ("move", "0.00000002"), ("fill", "-0.1", "50000")],
        ["10000", "8999.99999999", "1000.00000001"],
    ),
    # funding of -0.0001 x 50000 comes out of the position's wallet
    "funding": ([("fill", "1", "50000"), ("fund", "50000", "0.0001")], ["9995", "5000", "4995"]),
    "funding received": ([("fill", "-1", "50000"), ("fund", "50000", "0.0001")], ["10005", "5000", "5005"]),
}


@pytest.mark.parametrize("name", ISOLATED)
def test_isolated_wallets(make_wallet, name):
    steps, wallets = ISOLATED[name]
    wallet = make_wallet(isolated={BTC: 10})
    for kind, *arguments in steps:
        if kind == "fill":
            qty, price, *fee = arguments
            wallet.fill(qty, price, fee=(fee or ["0"])[0])
        else:
            getattr(wallet, kind)(*arguments)
    assert wallet.wallets == wallets


def test_a_loss_beyond_the_wallet_is_the_insurance_funds(make_wallet):
    """5000 of margin, closed 5600 below entry: the fund takes 600, and no more than 5000 are lost."""
    wallet = make_wallet(isolated={BTC: 10}).fill("1", "50000").fill("-1", "44400")
    assert wallet.wallets == ["5000", "5000", "0"]
    assert (wallet.account.realised, wallet.account.insurance) == (-5600, 600)


def test_half_closed_beyond_bankruptcy_leaves_the_other_half_its_margin(make_wallet):
    """2500 of margin go with 0.5; 0.5 x -5600 = -2800: the fund takes 300."""
    wallet = make_wallet(isolated={BTC: 10}).fill("1", "50000").fill("-0.5", "44400")
    assert wallet.wallets == ["7500", "5000", "2500"]
    assert wallet.account.insurance == 300


def test_funding_beyond_the_wallet_is_advanced_as_far_as_profit_covers_it(make_wallet):
    """The wallet is taken down to 5. 10 of funding: 5 from it; 5 from the cross wallet, as 100 of profit cover it."""
    wallet = make_wallet(isolated={BTC: 10}).fill("1", "50000").move("-4995").fund("50100", "0.0002")
    assert wallet.account.funding == D("-10.02")
    assert wallet.wallets == ["9989.98", "9989.98", "0"]
    assert wallet.account.insurance == 0


def test_funding_beyond_wallet_and_profit_is_the_insurance_funds(make_wallet):
    """10.0004 of funding: 5 from the wallet, 2 from the cross wallet for 2 of profit, 3.0004 from the fund."""
    wallet = make_wallet(isolated={BTC: 10}).fill("1", "50000").move("-4995").fund("50002", "0.0002")
    assert wallet.account.insurance == D("3.0004")
    assert wallet.wallets == ["9993", "9993", "0"]


def test_leverage_and_mode_are_those_of_the_symbol(make_wallet):
    wallet = make_wallet(isolated={BTC: 10}).set(ETH, 50).fill("1", "50000").fill("1", "2500", symbol=ETH)
    valuation = wallet.at(50000, 2500)
    assert wallet.wallets == ["10000", "5000", "5000", "0"]
    assert valuation.initial() == 5050  # 50000 / 10 + 2500 / 50
    assert valuation.available() == 4950  # 5000 in the cross wallet, less 50


# Records that cannot be true.


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (MarginSet(9, BTC, isolated=False, leverage=10), "margin mode of BTCUSDT changes while a position is open"),
        (MarginSet(9, BTC, isolated=True, leverage=0), "leverage 0 of BTCUSDT"),
        (Moved(9, BTC, BOTH, D("5000.00000001")), "is moved into the wallet of BTCUSDT, and is not there"),
        (Moved(9, BTC, BOTH, D("-5000.00000001")), "is not there"),
        (Moved(9, BTC, LONG, D(1)), "a Moved record of BTCUSDT LONG, which is flat"),
        (Moved(9, ETH, BOTH, D(1)), "a Moved record of ETHUSDT BOTH, which is flat"),
        (Funded(9, ETH, BOTH, D(1), D(1), D(1)), "a Funded record of ETHUSDT BOTH, which is flat"),
        (Funded(1, BTC, BOTH, D(1), D(1), D(1)), "funding of BTCUSDT BOTH at 1: .* opened later"),
        (Corrected(9, D("0.000000001"), "x"), "an amount of 1E-9 in a Corrected record is no money"),
        (Corrected(9, D("nan"), "x"), "an amount of NaN in a Corrected record is no money"),
        (Cleared(9, BTC, BOTH, D(-1)), "a negative amount of -1 in a Cleared record"),
        (Insured(9, D(1)), "the insurance fund adds 1 to a cross wallet of 5000"),
    ],
)
def test_an_entry_that_cannot_be_true_is_refused_and_changes_nothing(make_wallet, entry, text):
    wallet = make_wallet(isolated={BTC: 10}).fill("1", "50000")
    before = wallet.wallets
    with pytest.raises(StateError, match=text):
        wallet.book(entry)
    assert wallet.wallets == before


def test_margin_is_not_moved_into_a_cross_position(make_wallet):
    with pytest.raises(StateError, match="into BTCUSDT, which is not isolated"):
        make_wallet().fill("1", "50000").move("1")


def test_leverage_may_change_while_a_position_is_open(make_wallet):
    """What is opened from then on takes the new leverage; the wallet stays as it is."""
    wallet = make_wallet(isolated={BTC: 10}).fill("1", "50000").set(BTC, 20, isolated=True).fill("1", "50000")
    assert wallet.wallets == ["10000", "2500", "7500"]


def test_entries_survive_the_log_beside_its_other_records():
    entries = [
        MarginSet(1, BTC, isolated=True, leverage=10),
        Moved(2, BTC, LONG, D("-1.5")),
        Funded(3, BTC, SHORT, D("0.0001"), D("60961.7"), D("0.00000001")),
        Cleared(4, BTC, BOTH, D("564.75")),
        Insured(5, D(300)),
        Corrected(6, D("-250.5"), "withdrawal"),
        Began(1, D(10000), "hedge"),
    ]
    assert msgspec.json.decode(msgspec.json.encode(entries), type=list[Record | Entry]) == entries


def test_corrections_are_kept_apart(make_wallet):
    wallet = make_wallet().book(Corrected(1, D("-250.5"), "withdrawal")).book(Corrected(2, D(1000), "deposit"))
    assert (wallet.account.balance, wallet.account.corrections) == (D("10749.5"), D("749.5"))
