"""Short names for what happens to an account."""

from __future__ import annotations

from decimal import Decimal

import pytest

from grinder import Fill, PositionSide, Route, Side
from grinder_exchange_paper.account import Account
from grinder_exchange_paper.entries import MarginSet, Moved
from grinder_exchange_paper.funding import Due
from grinder_exchange_paper.valuation import Valuation

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
BOTH = PositionSide.BOTH
BTC, ETH = "BTCUSDT", "ETHUSDT"


class Wallet:
    """An account, and short names for what happens to it."""

    def __init__(self, balance="10000", *, hedge=False, isolated=None):
        self.account = Account(D(balance), hedge=hedge)
        self.now = 0
        for symbol, leverage in (isolated or {}).items():
            self.set(symbol, leverage, isolated=True)

    def fill(self, qty, price, *, fee="0", symbol=BTC, side=BOTH, maker=True):
        self.now += 1
        self.account.apply(
            Fill(
                route=Route.PAPER,
                venue="paper",
                account="paper",
                symbol=symbol,
                position_side=side,
                trade_id=f"p{self.now}",
                client_id="c",
                intent_id="i",
                side=BUY if D(qty) > 0 else SELL,
                price=D(price),
                qty=abs(D(qty)),
                fee=D(fee),
                fee_asset="USDT",
                maker=maker,
                exchange_ns=self.now,
                local_ns=self.now,
            )
        )
        return self

    def book(self, entry):
        self.account.book(entry)
        return self

    def set(self, symbol, leverage, *, isolated=False):
        return self.book(MarginSet(self.now, symbol, isolated, leverage))

    def move(self, amount, symbol=BTC, side=BOTH):
        return self.book(Moved(self.now, symbol, side, D(amount)))

    def fund(self, mark, rate, symbol=BTC):
        self.now += 1
        for entry in self.account.owed(symbol, Due(self.now, D(mark), D(rate))):
            self.book(entry)
        return self

    def at(self, mark, eth=None, resting=None):
        marks = {BTC: D(mark)} if eth is None else {BTC: D(mark), ETH: D(eth)}
        return Valuation(self.account, marks, resting)

    def hold(self, side=BOTH, symbol=BTC):
        return self.account.contract(symbol).hold(side)

    @property
    def wallets(self):
        """Balance, cross wallet and the wallets of isolated positions."""
        holdings = [each for contract in self.account.contracts.values() for each in contract.holdings.values()]
        amounts = self.account.balance, self.account.cross, *(holding.wallet for holding in holdings)
        return [f"{amount.normalize():f}" for amount in amounts]


@pytest.fixture(scope="session")
def make_wallet():
    """Makes accounts with ``balance``, in one-way or hedge mode; ``isolated`` maps symbols to their leverage."""
    return Wallet
