from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from grinder import (
    Abstain,
    Allow,
    Block,
    Decision,
    GateInfo,
    IntentKind,
    Mode,
    OrderIntent,
    Outcome,
    Risk,
    Route,
    Shrink,
    Side,
    Threshold,
    TradingState,
    Warn,
)
from grinder.decisions import VERDICT_NAMES, Fault, decision_record
from grinder.evidence.explain import _SAID, explain
from grinder.evidence.recorder import canonical

NOW = 1754006400 * 10**9 + 123_456_789
MEANINGS = {"LIQ_NEAR": "The liquidation price is too near.", "MARKET_STALE": "No market data arrived."}


def meaning(code: str) -> str:
    return MEANINGS.get(code, code)


def a_record(**changes: Any) -> dict[str, Any]:
    intent = changes.pop("intent", None) or OrderIntent(
        symbol="BTCUSDT", side=Side.BUY, qty=Decimal("0.010"), price=Decimal("64250.10"), origin="grid", intent_id="i1"
    )
    values: dict[str, Any] = {
        "intent": intent,
        "now_ns": NOW,
        "risk": Risk.INCREASE,
        "outcome": Outcome.BLOCKED,
        "reason": "LIQ_NEAR",
        "by": "near_liq",
        "qty": Decimal("0.010"),
        "price": intent.price,
        "route": None,
        "trading_state": TradingState.ACTIVE,
        "mid": 64251.05,
    }
    return decision_record(Decision(**(values | changes)))


def test_a_blocked_order_is_explained_gate_by_gate():
    record = a_record(
        gates=(
            GateInfo("warm_up", Mode.ENFORCE, "block", Threshold(90.0, "s")),
            GateInfo("near_liq", Mode.ENFORCE, "block"),
            GateInfo(
                "fill_prob", Mode.SHADOW, "allow", Threshold(2500, "bps", "resolver", "auto_applied", "eval.json")
            ),
            GateInfo("book", Mode.ENFORCE, "block"),
        ),
        answers=(
            Allow({"healthy_s": 120.0}),
            Block("LIQ_NEAR", {"distance_bps": Decimal("31.5")}),
            Block("PROB_LOW", {"prob": 0.1, "model": None}),
            Fault("MARKET_STALE", "boom"),
        ),
    )
    assert explain(record, meaning).splitlines() == [
        "Decision i1 was BLOCKED by near_liq: LIQ_NEAR.",
        "The liquidation price is too near.",
        "",
        "When    2025-08-01T00:00:00.123456789Z",
        "Wanted  BUY 0.010 BTCUSDT at 64250.10 (GTC), by grid",
        "Market  mid 64,251.05; the limit lay 0.15 bps below it",
        "Risk    INCREASE: it may add risk; trading state ACTIVE",
        "",
        "Gates, in the order in which they were asked:",
        "  1. warm_up (enforce) allowed it.",
        "     It saw healthy_s 120.",
        "     Threshold 90 s, from settings.",
        "  2. near_liq (enforce) blocked it: LIQ_NEAR",
        "     It saw distance_bps 31.5.",
        "  3. fill_prob (shadow) would have blocked it: PROB_LOW",
        "     It saw model nothing, prob 0.1.",
        "     Threshold 2,500 bps, from resolver (auto_applied); evidence: eval.json.",
        "  4. book (enforce) could not answer: MARKET_STALE - No market data arrived.",
        "     That counts as a block (on_error).",
        "     Error: boom",
        "",
        "Nothing was sent.",
    ]


def test_the_line_in_the_file_reads_the_same_as_the_decision_in_memory():
    record = a_record(gates=(GateInfo("g", Mode.ENFORCE, "block"),), answers=(Shrink(Decimal("0.004"), "TOO_BIG"),))
    assert explain(msgspec.json.decode(canonical(record)), meaning) == explain(record, meaning)


def test_an_order_that_was_shrunk_and_sent():
    record = a_record(
        outcome=Outcome.ALLOWED,
        reason="OK",
        route=Route.CANARY,
        qty=Decimal("0.004"),
        gates=(GateInfo("size", Mode.ENFORCE, "block"), GateInfo("spread", Mode.SHADOW, "block")),
        first_answers=(Shrink(Decimal("0.004"), "TOO_BIG"), Abstain("NOT_MINE")),
        answers=(Allow(), Warn("WIDE")),
        warnings=("LIQ_NEAR",),
    )
    text = explain(record, meaning)
    assert "Decision i1 was ALLOWED by near_liq: OK.\nWarning: LIQ_NEAR - The liq" in text
    assert "Gates at the wanted quantity of 0.010:\n  1. size (enforce) shrank it to 0.004: TOO_BIG\n" in text
    assert "  2. spread (shadow) would have had no say: NOT_MINE\n\nAsked once more at 0.004:\n  1. size (enf" in text
    assert "  2. spread (shadow) would have warned: WIDE\n" in text
    assert text.endswith("Admitted: BUY 0.004 BTCUSDT to route canary.")


def test_cancels_amendments_and_market_orders_in_words():
    cancel = OrderIntent(symbol="BTCUSDT", side=Side.SELL, kind=IntentKind.CANCEL, target="i7", intent_id="i8")
    text = explain(a_record(intent=cancel, risk=Risk.CANCEL, outcome=Outcome.ALLOWED, reason="OK", mid=0.0), meaning)
    assert "Wanted  CANCEL i7 (SELL BTCUSDT)" in text
    assert "no mid price was known" in text
    assert "No gate was asked." in text
    assert text.endswith("The cancel was admitted to the route that holds the order.")

    market = OrderIntent(symbol="BTCUSDT", side=Side.SELL, notional=Decimal(250), reduce_only=True, intent_id="i9")
    text = explain(a_record(intent=market, risk=Risk.REDUCE, detail="rounded down"), meaning)
    assert "Wanted  SELL for 250 BTCUSDT at market (GTC, reduce-only)" in text
    assert "Detail: rounded down" in text
    assert "it reduces risk, so entry gates are not asked" in text

    amend = OrderIntent(
        symbol="BTCUSDT", side=Side.BUY, kind=IntentKind.AMEND, qty=Decimal(1), price=Decimal(5), target="i7"
    )
    assert "AMEND i7 to BUY 1 BTCUSDT at 5 (GTC)" in explain(a_record(intent=amend), meaning)


def test_what_came_after_is_told():
    fill = {"trade_id": "t1", "ts_ns": NOW, "side": "BUY", "qty": "0.01", "price": "64250.1", "maker": True,
            "fee": "0.128", "fee_asset": "USDT", "client_id": "grinder_x"}  # fmt: skip
    order = {"event": "cancelled", "ts_ns": NOW, "why": "user"}
    markout = {"id": "i1", "mid": 64251.05, "mid_1s": 64257.475105, "mid_30s": None, "mid_5s": 64251.05}
    lines = explain(a_record(), meaning, [order, fill, markout]).splitlines()
    assert lines[-3:] == [
        "2025-08-01T00:00:00.123456789Z  cancelled: why user",
        "2025-08-01T00:00:00.123456789Z  bought 0.01 at 64250.1 as maker, fee 0.128 USDT (trade t1, order grinder_x)",
        "The mid price later: 64,257.475105 (+1.00 bps) after 1 s, 64,251.05 (+0.00 bps) after 5 s, unknown after 30 s",
    ]


def test_every_verdict_has_its_words():
    assert set(_SAID) == set(VERDICT_NAMES.values())


def test_a_fault_of_a_shadow_gate_binds_nobody():
    record = a_record(gates=(GateInfo("g", Mode.SHADOW, "allow"),), answers=(Fault("MARKET_STALE", "", False),))
    assert "That would have counted as an allow (on_error)." in explain(record, meaning)


def test_text_from_outside_cannot_steer_the_terminal():
    record = a_record(detail="x\x1b]0;owned\x07", gates=(GateInfo("g\n", Mode.ENFORCE, "block"),), answers=(Allow(),))
    text = explain(record, meaning)
    assert all(line.isprintable() for line in text.split("\n"))
    assert "x\\x1b]0;owned\\x07" in text


def test_what_is_not_a_decision_is_refused():
    with pytest.raises(msgspec.ValidationError):
        explain({"id": "i1"}, meaning)
