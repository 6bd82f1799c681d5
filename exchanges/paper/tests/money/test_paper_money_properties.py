"""What holds for any sequence of fills, funding, moves of the mark, transfers, changes of mode and liquidations."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder import Fill, PositionSide, Route, Side
from grinder_exchange_paper import fees, liquidation
from grinder_exchange_paper.account import Account
from grinder_exchange_paper.amounts import CENT
from grinder_exchange_paper.entries import Cleared, Corrected, Insured, MarginSet, Moved
from grinder_exchange_paper.funding import Due
from grinder_exchange_paper.valuation import Order, Resting, Valuation

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
BOTH, LONG, SHORT = PositionSide.BOTH, PositionSide.LONG, PositionSide.SHORT
SYMBOLS = ["BTCUSDT", "ETHUSDT", "DOGEUSDT"]
START = D("10000.5")

symbols = st.sampled_from(SYMBOLS)
lots = st.integers(1, 4000)
ticks = st.integers(400_000, 600_000)
sides = st.tuples(st.sampled_from([BUY, SELL]), st.booleans())
fill = st.tuples(st.just("fill"), symbols, sides, lots, ticks, st.integers(-999, 999))
steps = st.one_of(
    fill,
    fill,
    fill,
    fill,
    st.tuples(st.just("mark"), symbols, ticks),
    st.tuples(st.just("fund"), symbols, st.integers(-750, 750)),
    st.tuples(st.just("move"), symbols, st.booleans(), st.integers(-100, 100)),
    st.tuples(st.just("move"), symbols, st.booleans(), st.integers(-100, 100)),
    st.tuples(st.just("set"), symbols, st.booleans(), st.integers(1, 150)),
    st.tuples(st.just("liquidate"), st.integers(-30, 30), st.integers(1, 3)),
    st.tuples(st.just("correct"), st.integers(-(10**6), 10**12)),
)
modes = st.lists(st.tuples(st.just("set"), symbols, st.booleans(), st.integers(1, 150)), min_size=3, max_size=3)
stories = st.builds(lambda first, then: first + then, modes, st.lists(steps, min_size=15, max_size=50))


class Book:
    """Plays a story into an account, and keeps its own sums of what was paid and received."""

    def __init__(self, *, hedge):
        self.hedge = hedge
        self.account = Account(START, hedge=hedge)
        self.marks = {symbol: D(50000) for symbol in SYMBOLS}
        self.cash = START  # all that was paid and received, as if a position were bought and sold outright
        self.held = {}
        self.records = []
        self.now = 0

    def play(self, story):
        for kind, *arguments in story:
            self.now += 1
            getattr(self, kind)(*arguments)
            self.check()
        return self

    @property
    def valuation(self):
        return Valuation(self.account, self.marks)

    def book(self, entry):
        self.records.append(entry)
        self.account.book(entry)

    def fill(self, symbol, sides, count, tick, points):
        side, long = sides
        position_side = BOTH if not self.hedge else LONG if long else SHORT
        qty = D(count).scaleb(-3)
        held = self.account.qty(symbol, position_side)
        if self.hedge and (side is BUY) != long:
            qty = min(qty, abs(held))  # the closing side is clipped to the position
        if qty:
            price = D(tick).scaleb(-1)
            fee = fees.fee(price, qty, D(points).scaleb(-6))
            self.trade((symbol, position_side), side, qty, price, fee)

    def trade(self, key, side, qty, price, fee):
        symbol, position_side = key
        record = Fill(
            route=Route.PAPER, venue="paper", account="paper", symbol=symbol, position_side=position_side, trade_id="p",
            client_id="c", intent_id="i", side=side, price=price, qty=qty, fee=fee, fee_asset="USDT", maker=True,
            exchange_ns=self.now, local_ns=self.now,
        )  # fmt: skip
        self.records.append(record)
        delta, held = qty * side.sign, self.held.get(key, D(0))
        cross = self.account.cross
        self.account.apply(record)
        if self.account.contract(symbol).isolated and held * delta < 0 and qty <= abs(held):
            assert self.account.cross >= cross - fee, "an isolated position cost more than its wallet"
        self.held[key] = held + delta
        self.cash -= delta * price + fee

    def mark(self, symbol, tick):
        self.marks[symbol] = D(tick).scaleb(-1)

    def fund(self, symbol, rate):
        due = Due(self.now, self.marks[symbol], D(rate).scaleb(-5))
        entries = self.account.owed(symbol, due)
        open_legs = [qty for (name, _), qty in self.held.items() if name == symbol and qty]
        assert len(entries) == len(open_legs)
        for entry in entries:
            self.cash += entry.amount
            self.book(entry)
        assert self.account.owed(symbol, due) == ()

    def move(self, symbol, long, percent):
        position_side = BOTH if not self.hedge else LONG if long else SHORT
        contract = self.account.contract(symbol)
        if contract.isolated and self.account.qty(symbol, position_side):
            most = self.valuation.addable() if percent > 0 else self.valuation.removable(symbol, position_side)
            amount = (most * percent / 100).quantize(CENT, "ROUND_DOWN")
            self.book(Moved(self.now, symbol, position_side, amount))

    def set(self, symbol, isolated, leverage):
        contract = self.account.contract(symbol)
        if any(holding.qty for holding in contract.holdings.values()):
            isolated = contract.isolated
        self.book(MarginSet(self.now, symbol, isolated, leverage))

    def correct(self, cents):
        self.cash += D(cents).scaleb(-8)
        self.book(Corrected(self.now, D(cents).scaleb(-8), "test"))

    def liquidate(self, slip, parts):
        """Close what is due, in parts, at the bankruptcy price and some permille beyond or before it."""
        for each in liquidation.due(self.valuation):
            price = each.bankruptcy or self.marks[each.symbol]
            price = (price * (1 + D(slip).scaleb(-3))).quantize(D("0.1"))
            side = SELL if each.qty > 0 else BUY
            part = (abs(each.qty) / parts).quantize(D("0.001"), "ROUND_DOWN")
            for qty in filter(None, [part] * (parts - 1) + [abs(each.qty) - part * (parts - 1)]):
                self.close(each, side, qty, price)
        gone = self.account.shortfall()
        if gone:
            self.cash += gone
            self.book(Insured(self.now, gone))
        assert not self.account.shortfall()

    def close(self, each, side, qty, price):
        left = liquidation.margin_left(self.valuation, each.symbol, each.position_side, qty, price)
        others = self.account.insurance, self.account.isolated
        self.trade((each.symbol, each.position_side), side, qty, price, D(0))
        fee = fees.clearance(qty * price, left)
        assert not (fee and self.account.insurance > others[0]), "a fee from a position that had nothing left"
        self.cash -= fee
        self.book(Cleared(self.now, each.symbol, each.position_side, fee))

    def check(self):
        """The sums of the account, against each other and against our own."""
        account, value = self.account, self.valuation
        holdings = [
            (symbol, contract, holding)
            for symbol, contract in account.contracts.items()
            for holding in contract.holdings.values()
        ]
        wallets = sum((holding.wallet for _, _, holding in holdings), D(0))
        unrealised = sum((holding.qty * self.marks[s] - holding.cost for s, _, holding in holdings), D(0))
        assert account.balance == (
            START + account.realised - account.fees + account.funding - account.clearance
            + account.insurance + account.corrections
        )  # fmt: skip
        assert value.equity() == account.cross + wallets + unrealised
        held = sum((qty * self.marks[symbol] for (symbol, _), qty in self.held.items()), D(0))
        insured_isolated = account.insurance - sum(r.amount for r in self.records if isinstance(r, Insured))
        assert value.equity() == self.cash + held + insured_isolated
        assert account.balance == account.balance.quantize(CENT)
        for _, contract, holding in holdings:
            assert holding.wallet >= 0
            assert contract.isolated or not holding.wallet
            assert holding.qty or (not holding.wallet and not holding.cost)
        assert account.insurance >= 0
        assert account.clearance >= 0


def state(account):
    """All that an account holds."""
    sums = {name: getattr(account, name) for name in Account.__slots__ if not name.startswith("_")}
    del sums["contracts"]
    holdings = {
        (symbol, side): tuple(getattr(holding, name) for name in holding.__slots__)
        for symbol, contract in account.contracts.items()
        for side, holding in contract.holdings.items()
        if holding.opened_ns
    }
    return sums, holdings


@pytest.mark.parametrize("hedge", [False, True])
@settings(deadline=None, max_examples=150)
@given(story=stories)
def test_any_story_adds_up_to_the_last_digit_after_every_step(hedge, story):
    book = Book(hedge=hedge).play(story)
    again = Account(START, hedge=hedge)
    for record in book.records:
        if isinstance(record, Fill):
            again.apply(record)
        else:
            again.book(record)
    assert state(again) == state(book.account)


@pytest.mark.parametrize("hedge", [False, True])
@settings(deadline=None, max_examples=60)
@given(story=stories, symbol=symbols, tick=ticks)
def test_a_price_moved_to_just_beyond_the_liquidation_price_liquidates(hedge, story, symbol, tick):
    """Whatever else is held: the price that is shown is the one that acts."""
    book = Book(hedge=hedge).play(story)
    side = LONG if hedge else BOTH
    price = liquidation.price(book.valuation, symbol, side)
    if price is None or price < 1:
        return
    reached = {**book.marks, symbol: price}

    def surplus(mark):
        """Margin beyond the maintenance margin of the position, or of the cross account."""
        value = Valuation(book.account, {**reached, symbol: mark})
        contract = book.account.contract(symbol)
        if contract.isolated:
            holding = contract.hold(side)
            return holding.wallet + holding.unrealised(mark) - contract.brackets.maintenance(abs(holding.qty) * mark)
        return value.cross_equity() - value.cross_maintenance()

    assert abs(surplus(price)) < D("1e-12")
    nudge = price * D("0.0001")
    worse = min((price - nudge, price + nudge), key=surplus)
    due = liquidation.due(Valuation(book.account, {**reached, symbol: worse}))
    assert (symbol, side) in [(each.symbol, each.position_side) for each in due]


orders = st.builds(
    Order,
    symbol=symbols,
    side=st.sampled_from([BUY, SELL]),
    qty=lots.map(lambda count: D(count).scaleb(-3)),
    price=ticks.map(lambda tick: D(tick).scaleb(-1)),
    reduces=st.just(False),
    last=st.none(),
)
amounts = st.integers(0, 10**6).map(D)


@pytest.mark.parametrize("hedge", [False, True])
@settings(deadline=None, max_examples=60)
@given(story=stories, order=orders, buys=amounts, sells=amounts)
def test_what_an_order_needs_is_what_it_takes_from_the_available_balance(hedge, story, order, buys, sells):
    """Resting at a price that is no better for us than the mark, it takes its need, no more and no less.

    One that turns an isolated position needs what the position brings too little, and takes it when it fills.
    """
    book = Book(hedge=hedge).play(story)
    book.marks[order.symbol] = order.price
    resting = {order.symbol: Resting(buys, sells)}
    value = order.qty * order.price
    more = Resting(buys + value, sells) if order.side is BUY else Resting(buys, sells + value)
    before = Valuation(book.account, book.marks, resting)
    after = Valuation(book.account, book.marks, {order.symbol: more})
    need = before.need(order)
    assert need >= 0
    if before._flip(book.account.contract(order.symbol), order, order.price):
        assert need >= before._free() - after._free() - D("1e-12")
    else:
        assert abs(before._free() - after._free() - need) < D("1e-12")
    assert before.affords(order) == (need == 0 or before._free() >= need)
