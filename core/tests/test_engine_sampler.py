"""What samples say of the market, and that looking changes nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from grinder import BookSnapshot, FeedStatus, Fill, MarkPrice, Payment, PaymentKind, PositionSide, Route, Side
from grinder.engine.account import Account
from grinder.engine.sampler import NEVER, Sampler
from grinder.engine.worth import value_price, worth
from grinder.evidence.timeline import TIMELINE, Timeline, decode_sample
from grinder.journal.ledger import Ledger
from grinder.market.state import MarketState

MS = 1_000_000
SECOND = 1000 * MS
T0 = 1_700_000_000 * SECOND


@pytest.fixture
def market():
    state = MarketState(stale_ns=2 * SECOND)
    state.now_ns = T0
    state.apply(BookSnapshot("X", T0, T0, 1, [("99", "5")], [("101", "5")]))
    return state


@pytest.fixture
def look(market, tmp_path):
    timeline = Timeline(tmp_path, SECOND)
    sampler = Sampler(timeline, account=Account("v"), ledger=Ledger(), market=market, symbols=("X", "Y"))

    def at(now: int):
        market.now_ns = now
        sampler.take(now)
        return decode_sample((tmp_path / TIMELINE).read_bytes().splitlines()[-1])

    at.sampler = sampler
    return at


def test_silence_staleness_and_gaps_are_seen(look, market):
    assert look(T0 + SECOND).symbols["X"].silence_ms == 1000
    stale = look(T0 + 3 * SECOND).symbols["X"]
    assert (stale.silence_ms, stale.fault, stale.mid) == (3000, "MARKET_STALE", 100.0)
    market.now_ns = T0 + 3500 * MS
    market.apply(MarkPrice("X", T0 + 3500 * MS, T0 + 3500 * MS, "100", "100", "0", T0))
    ended = look(T0 + 4 * SECOND).symbols["X"]
    assert (ended.silence_ms, ended.fault) == (3500, ""), "a silence that ended since the last sample still shows"
    assert look(T0 + 4500 * MS).symbols["X"].silence_ms == 1000, "and only once"
    market.apply(FeedStatus("X", T0 + 4500 * MS, connected=False))
    gap = look(T0 + 5 * SECOND).symbols["X"]
    assert (gap.gaps, gap.fault) == (1, "MARKET_GAP")


def test_a_symbol_without_data_says_so(look):
    unseen = look(T0 + SECOND).symbols["Y"]
    assert (unseen.fault, unseen.mid, unseen.silence_ms) == ("INPUT_MISSING", None, 0)


def test_looking_does_not_restart_health(look, market):
    market.now_ns = T0 + SECOND
    since = market.healthy_since("X")
    assert since == T0
    market.apply(BookSnapshot("X", T0 + SECOND, T0 + SECOND, 2, [], [("101", "5")]))
    assert look(T0 + SECOND).symbols["X"].fault == "INPUT_MISSING"
    market.apply(BookSnapshot("X", T0 + SECOND, T0 + SECOND, 3, [("99", "5")], [("101", "5")]))
    assert market.healthy_since("X") == since, "nobody who trades asked meanwhile"


def test_samples_come_at_whole_intervals_after_the_first_event(look):
    sampler = look.sampler
    assert sampler.due_ns == NEVER
    sampler.begin(T0, T0 + 250 * MS)
    assert sampler.due_ns == T0 + SECOND
    look(T0 + SECOND)
    assert sampler.due_ns == T0 + 2 * SECOND
    look(T0 + 7300 * MS)
    assert sampler.due_ns == T0 + 8 * SECOND


def test_a_market_without_prices_is_worth_nothing_known(market):
    for mark in ("Infinity", "NaN", "1e300", "-5"):
        market.apply(MarkPrice("X", T0, T0, mark, "1", "0", T0))
        assert value_price(market, "X") is None
    assert value_price(market, "Y") is None


def test_worth_is_what_fills_paid_and_what_is_held(market):
    ledger = Ledger()
    for n, (side, price) in enumerate([(Side.BUY, "98"), (Side.BUY, "99.1"), (Side.SELL, "103")]):
        ledger.apply(
            Fill(route=Route.PAPER, venue="v", account="a", symbol="X", position_side=PositionSide.BOTH,
                 trade_id=str(n), client_id="c", intent_id="i", side=side, price=Decimal(price), qty=Decimal(3),
                 fee=Decimal("0.07"), fee_asset="USDT", maker=True, exchange_ns=T0, local_ns=T0)
        )  # fmt: skip
    funding = Payment(
        kind=PaymentKind.FUNDING, payment_id="p", route=Route.PAPER, venue="v", account="a", symbol="X",
        position_side=PositionSide.BOTH, amount=Decimal("-0.5"), asset="USDT", at_ns=T0, local_ns=T0,
    )  # fmt: skip
    ledger.pay(funding)
    made = worth(ledger, market)
    assert made.net == 3 * (Decimal(103) - Decimal(98) - Decimal("99.1") + 100) - Decimal("0.21") - Decimal("0.5")
    assert made.parts["funding"] == Decimal("-0.5")
    assert sum(made.parts.values()) == made.net
    assert made.fees == Decimal("0.21")
