"""Clock and account together: each leg pays each instant once, for what it held then, across restarts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder import Fill, MarkPrice, PositionSide, Route, Side
from grinder_exchange_paper.account import Account
from grinder_exchange_paper.funding import HOUR_NS, FundingClock, payment

D = Decimal
BEGIN = 20_000 * 24 * HOUR_NS
INTERVAL = 8 * HOUR_NS
QUARTER = HOUR_NS // 4
SYMBOL = "BTCUSDT"

steps = st.lists(
    st.tuples(
        st.sampled_from(["fill", "fill", "mark", "mark", "wait", "restart"]),
        st.integers(0, 20),  # quarters of an hour before it: often none, often exactly at an instant
        st.booleans(),
        st.integers(-5, 5).filter(bool),
    ),
    max_size=40,
)


class Venue:
    """The order in which a venue has to do things: what is due is paid before anything else happens."""

    def __init__(self, *, hedge):
        self.hedge = hedge
        self.records = []
        self.start(BEGIN)

    def start(self, now):
        self.account = Account(D(10**6), hedge=self.hedge)
        for record in self.records:
            self.account.apply(record) if isinstance(record, Fill) else self.account.book(record)
        self.clock = FundingClock(now)
        last = self.account.contract(SYMBOL).last_funding
        if last is not None:
            self.clock.resume(last)

    def settle(self, now):
        for due in self.clock.due(now):
            for entry in self.account.owed(SYMBOL, due):
                self.records.append(entry)
                self.account.book(entry)

    def fill(self, now, position_side, lots):
        fill = Fill(
            route=Route.PAPER, venue="paper", account="paper", symbol=SYMBOL, position_side=position_side,
            trade_id="p", client_id="c", intent_id="i", side=Side.BUY if lots > 0 else Side.SELL, price=D(50000),
            qty=D(abs(lots)).scaleb(-3), fee=D(0), fee_asset="USDT", maker=True, exchange_ns=now, local_ns=now,
        )  # fmt: skip
        self.records.append(fill)
        self.account.apply(fill)


@pytest.mark.parametrize("hedge", [False, True])
@settings(deadline=None, max_examples=150)
@given(steps)
def test_each_leg_pays_each_instant_once_for_what_it_held(hedge, steps):
    venue = Venue(hedge=hedge)
    known, held, expected = None, {}, []
    now = BEGIN
    for kind, quarters, long, number in steps:
        later = now + quarters * QUARTER
        for instant in range((now // INTERVAL + 1) * INTERVAL, later + 1, INTERVAL):
            for side, qty in held.items():
                if qty and known is not None:
                    mark, rate = known
                    expected.append((instant, side, payment(qty, mark, rate)))
        now = later
        venue.settle(now)
        position_side = PositionSide.BOTH if not hedge else PositionSide.LONG if long else PositionSide.SHORT
        if kind == "fill":
            held[position_side] = held.get(position_side, D(0)) + D(number).scaleb(-3)
            venue.fill(now, position_side, number)
        elif kind == "mark":
            known = (D(50000 + number), D(number).scaleb(-4))
            named = (now // INTERVAL + 1) * INTERVAL
            venue.clock.observe(MarkPrice(SYMBOL, now, now, str(known[0]), "0", str(known[1]), named))
        elif kind == "restart":
            last = venue.account.contract(SYMBOL).last_funding
            known = (last.mark, last.rate) if last is not None else None
            venue.start(now)
    paid = [(r.at_ns, r.position_side, r.amount) for r in venue.records if not isinstance(r, Fill)]
    assert sorted(paid) == sorted(expected)
    assert venue.account.funding == sum(amount for _, _, amount in expected)
