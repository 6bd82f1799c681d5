"""A whole run on the paper exchange with stops, funding and liquidation: what the venue did is in the books."""

from __future__ import annotations

import json
from decimal import Decimal
from types import MappingProxyType, SimpleNamespace

import msgspec
import pytest

from grinder import (
    BookSnapshot,
    IntentKind,
    MarkPrice,
    OrderIntent,
    Side,
    TimeInForce,
    Trade,
    Trigger,
    TriggerKind,
    TriggerSource,
)
from grinder.cli.main import invoke
from grinder.engine.options import RunOptions
from grinder.engine.plugins import load
from grinder.engine.session import Session
from grinder.instruments import TABLE

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND
SYMBOL = "BTCUSDT"
D = Decimal


class Market:
    """Prices second by second; a book, a print and a mark price each."""

    inputs = ()
    symbols = (SYMBOL,)
    skipped = MappingProxyType({})
    ignored = MappingProxyType({})

    def __init__(self, prices, rate="0.0001", funding_s=3600):
        self.instruments = {SYMBOL: TABLE[SYMBOL]}
        self.prices = prices
        self.rate = rate
        self.funding_ns = T0 + funding_s * SECOND
        self.first_ns, self.last_ns = T0, T0 + len(prices) * SECOND

    def __iter__(self):
        for second, price in enumerate(self.prices):
            now = T0 + second * SECOND
            bid, ask = f"{price}.0", f"{price}.1"
            yield BookSnapshot(SYMBOL, now, now, second + 1, [(bid, "50")], [(ask, "50")])
            yield Trade(SYMBOL, now, now, second + 1, bid, "0.001", Side.SELL)
            yield MarkPrice(SYMBOL, now, now, str(price), str(price), self.rate, self.funding_ns)

    def close(self):
        """Nothing is open."""


def play(out, market, orders, *overrides, resume=False):
    """Run; ``orders`` by the second at which they are proposed. The summary, and the session."""
    options = RunOptions(out=out, resume=resume, overrides=("plugins.warm_up.enabled=false",
                         "plugins.liquidity_by_side.enabled=false", "sizing.leverage=50", *overrides))  # fmt: skip
    seen = []

    class Strategy:
        wake_ns = SECOND

        def on_market(self, market, account, runtime, now):
            seen.append((account.balance, account.open_orders(SYMBOL)))
            return orders.get((now - T0) // SECOND, ())

    loaded = load(options.sources())
    loaded = msgspec.structs.replace(loaded, strategy=SimpleNamespace(create=lambda *_: Strategy()))
    return Session(options, loaded, market).run(), seen


def order(side, qty, price=None, **more):
    tif = more.pop("tif", TimeInForce.IOC)
    return OrderIntent(symbol=SYMBOL, side=side, qty=D(qty), price=None if price is None else D(price), tif=tif, **more)


def lines(out, name):
    return [json.loads(line) for line in (out / name).read_text().splitlines()]


def test_a_stop_closes_what_it_guards(tmp_path):
    market = Market([60000] * 5 + [59500] * 3 + [59000] * 5)
    stop = Trigger(TriggerKind.STOP, D(59500))
    orders = {
        2: [order(Side.BUY, "0.1", "60000.1")],
        3: [order(Side.SELL, "0.1", trigger=stop, reduce_only=True)],
    }
    summary, seen = play(tmp_path, market, orders)
    assert [fill["price"] for fill in lines(tmp_path, "fills.jsonl")] == ["60000.1", "59500.0"]
    assert summary.positions[0].qty == 0
    held = [each for _, each in seen if each]
    assert {each[0].trigger for each in held} == {stop}
    record = lines(tmp_path, "decisions.jsonl")[1]
    assert record["order"]["trigger"] == {"kind": "STOP", "price": "59500", "source": "LAST"}
    assert (record["risk"], record["outcome"]) == ("REDUCE", "allowed")


def test_a_fired_order_is_a_plain_one_to_the_strategy(tmp_path):
    market = Market([60000] * 4 + [59500] * 6)
    stop = Trigger(TriggerKind.STOP, D(59500), TriggerSource.MARK)
    resting = order(Side.SELL, "0.01", "61000.0", trigger=stop, tif=TimeInForce.GTC)
    _, seen = play(tmp_path, market, {2: [resting]})
    assert next(each[0].trigger for _, each in seen if each) == stop
    assert seen[-1][1][0].trigger is None


@pytest.mark.parametrize(
    ("change", "reason", "outcome"),
    [
        ({"trigger": Trigger(TriggerKind.STOP, D("59500.05"))}, "PRICE_TICK", "dropped"),
        ({"trigger": Trigger(TriggerKind.STOP, D("NaN"))}, "ORDER_INVALID", "dropped"),
        ({"trigger": "59500"}, "ORDER_INVALID", "dropped"),
        ({"trigger": Trigger(TriggerKind.STOP, D(59500)), "tif": TimeInForce.FOK}, "ORDER_INVALID", "dropped"),
        ({"trigger": Trigger("STOP", D(59500))}, "ORDER_INVALID", "dropped"),
    ],
)
def test_a_condition_that_makes_no_sense_is_dropped(tmp_path, change, reason, outcome):
    play(tmp_path, Market([60000] * 5), {2: [order(Side.SELL, "0.01", **change)]})
    (record,) = lines(tmp_path, "decisions.jsonl")
    assert (record["reason"], record["outcome"]) == (reason, outcome)


def test_a_conditional_order_is_not_amended_before_it_fires(tmp_path):
    stop = Trigger(TriggerKind.STOP, D(59000))
    orders = {2: [order(Side.SELL, "0.01", "58900.0", trigger=stop, tif=TimeInForce.GTC)]}
    play(tmp_path, Market([60000] * 6), orders)
    target = lines(tmp_path, "decisions.jsonl")[0]["id"]
    orders[4] = [order(Side.SELL, "0.02", "58900.0", kind=IntentKind.AMEND, target=target)]
    play(tmp_path, Market([60000] * 6), orders)
    assert [row["reason"] for row in lines(tmp_path, "decisions.jsonl")] == ["OK", "ORDER_INVALID"]


def test_funding_moves_balance_and_pnl_and_is_recorded(tmp_path):
    market = Market([60000] * 10, rate="0.001", funding_s=5)
    summary, seen = play(tmp_path, market, {2: [order(Side.BUY, "0.1", "60000.1")]}, "exchanges.paper.taker_fee=0")
    (payment,) = lines(tmp_path, "payments.jsonl")
    assert (payment["kind"], payment["amount"], payment["at_ns"]) == ("FUNDING", "-6.00000000", T0 + 5 * SECOND)
    assert summary.payments == {"funding": D(-6)}
    assert summary.pnl.net == summary.pnl.realised + summary.pnl.unrealised - 6
    assert seen[-1][0] - seen[4][0] == D(-6)


def test_a_liquidation_is_in_the_books_and_the_symbol_only_reduces(tmp_path):
    market = Market([60000] * 4 + [54000] * 4)
    again = order(Side.BUY, "0.01", "54000.1")
    orders = {2: [order(Side.BUY, "1", "60000.1")], 6: [again]}
    settings = ("exchanges.paper.leverage=20", "exchanges.paper.balance=4000", "exchanges.paper.taker_fee=0")
    summary, seen = play(tmp_path, market, orders, *settings)
    assert summary.venue_closures == {"liquidation": 1}
    fills = lines(tmp_path, "fills.jsonl")
    assert [fill.get("cause", "TRADE") for fill in fills] == ["TRADE", "LIQUIDATION"]
    # The wallet of 4 000 is gone at 56 000.1; no bid is there, and the insurance fund takes over.
    assert (fills[1]["price"], summary.pnl.net) == ("56000.1", D(-4000))
    assert [fill["fee"] for fill in fills] == ["0", "0"], "nothing is written as such, whatever its decimals"
    assert seen[-1][0] == 0
    records = lines(tmp_path, "decisions.jsonl")
    assert (records[-1]["reason"], records[-1]["trading_state"]) == ("TRADING_REDUCE_ONLY", "REDUCE_ONLY")


def test_a_liquidation_is_explained_and_drawn(tmp_path, capsys):
    settings = ("exchanges.paper.leverage=20", "exchanges.paper.balance=4000")
    play(tmp_path, Market([60000] * 4 + [54000] * 4), {2: [order(Side.BUY, "1", "60000.1")]}, *settings)
    client_id = lines(tmp_path, "fills.jsonl")[1]["client_id"]
    assert invoke(["explain", client_id, "--run", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert f"No decision stands behind {client_id}: the venue itself closed the position in {SYMBOL}, by a liq" in told
    assert "sold 1.000 at " in told
    page = (tmp_path / "report.html").read_text()
    assert page.count('<use class="closed"') == 1
    assert "closed by the venue" in page


def test_what_the_venue_did_is_known_after_a_restart(tmp_path):
    """Stopped before the news of funding and liquidation had come: the snapshot at the start brings it."""
    prices = [60000] * 6 + [54000] * 4
    slow = ("exchanges.paper.leverage=20", "exchanges.paper.balance=4000", "exchanges.paper.taker_fee=0",
            "exchanges.paper.response_latency_ms=600000")  # fmt: skip
    quick = (*slow[:3], "exchanges.paper.response_latency_ms=1")
    orders = {2: [order(Side.BUY, "1", "60000.1")]}
    whole, _ = play(tmp_path / "whole", Market(prices, "0.0001", 5), orders, *quick)
    state = tmp_path / "out"
    first, _ = play(state, Market(prices[:4], "0.0001", 5), orders, *quick)
    assert first.fills == 1
    cut, _ = play(state, Market(prices[:8], "0.0001", 5), {}, *slow, resume=True)
    assert cut.fills == 1, "nobody has told us yet"
    resumed, seen = play(state, Market(prices, "0.0001", 5), {}, *quick, resume=True)
    assert (resumed.venue_closures, resumed.payments) == (whole.venue_closures, whole.payments)
    assert resumed.pnl == whole.pnl
    assert seen[-1][0] == 0
    assert lines(state, "payments.jsonl")


def test_the_timeline_and_the_report_follow_funding_and_liquidation(tmp_path):
    orders = {2: [order(Side.BUY, "1", "60000.1")]}
    settings = ("exchanges.paper.leverage=20", "exchanges.paper.balance=4000", "exchanges.paper.taker_fee=0")
    summary, _ = play(tmp_path, Market([60000] * 6 + [54000] * 4, "0.0001", 5), orders, *settings)
    samples = lines(tmp_path, "timeline.jsonl")
    assert summary.payments["funding"] == D(-6)
    assert D(samples[-1]["parts"]["funding"]) == D(-6)
    assert D(samples[-1]["net"]) == summary.pnl.net
    assert sum(map(D, samples[-1]["parts"].values())) == summary.pnl.net
    assert D(samples[-1]["equity"]) == 4000 + summary.pnl.net
    page = (tmp_path / "report.html").read_text()
    assert page.count('<use class="closed"') == 1
    assert 'data-name="funding"' in page
