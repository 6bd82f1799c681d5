from __future__ import annotations

from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder import InputError
from grinder.evidence.chart import Thinned
from grinder.evidence.recorder import Recorder, canonical
from grinder.evidence.report import write_report
from grinder.evidence.summary import (
    DecisionCounts,
    GateCounts,
    InputRow,
    PluginRow,
    PositionRow,
    RecordHealth,
    Summary,
)

EVIL = "<script>alert(1)</script><img src=x onerror='alert(1)'>\"'&\x1b"
VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Checks that tags balance and keeps what a browser would act on."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == ["html"], "every tag is closed; the html tag may stay open"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def a_decision(n: int, **changes: Any) -> dict[str, Any]:
    blocked = n % 3 == 0
    return {
        "id": f"i{n}",
        "ts_ns": 1754006400 * 10**9 + n * 10**9,
        "origin": "grid",
        "order": {"kind": "PLACE", "symbol": "BTCUSDT", "side": "BUY", "tif": "GTC", "price": "100.0",
                  "wanted_qty": "0.01"},
        "risk": "INCREASE",
        "outcome": "blocked" if blocked else "allowed",
        "reason": "MARKET_STALE" if blocked else "OK",
        "by": "near_liq",
        "qty": "0.01",
        "route": None if blocked else "paper",
        "trading_state": "ACTIVE",
        "mid": 100.0 + n % 7,
        "gates": [],
    } | changes  # fmt: skip


def a_fill(n: int, **changes: Any) -> dict[str, Any]:
    return {"trade_id": f"t{n}", "ts_ns": 1754006400 * 10**9 + n * 10**9, "intent_id": f"i{n}", "client_id": "c",
            "symbol": "BTCUSDT", "side": "BUY", "price": "100.5", "qty": "0.01", "fee": "0.1", "fee_asset": "USDT",
            "maker": True} | changes  # fmt: skip


def a_run(out: Path, decisions: list[dict[str, Any]], fills: list[dict[str, Any]]) -> None:
    recorder = Recorder(out, run_id="r")
    for row in decisions:
        recorder.decision(canonical(row))
    for row in fills:
        recorder.fill(canonical(row))
    recorder.close()


def report(out: Path, summary: Summary | None = None) -> str:
    write_report(out, msgspec.to_builtins(summary or Summary(run_id="r")))
    return (out / "report.html").read_text()


def test_the_page_stands_alone_and_shows_the_run(tmp_path):
    a_run(tmp_path, [a_decision(n) for n in range(50)], [a_fill(1), a_fill(2, side="SELL")])
    summary = Summary(
        run_id="paper-1",
        decisions=DecisionCounts(
            allowed=33,
            blocked=17,
            by_gate={"z_first": GateCounts(allow=33), "a_second": GateCounts(block=17)},
            by_reason={"MARKET_STALE": 17, "OK": 33},
        ),
        positions=(PositionRow(symbol="BTCUSDT", route="paper", position_side="LONG", qty=Decimal("0.02"),
                               entry_price=Decimal("100.5")),),
        fees=Decimal("0.2"),
    )  # fmt: skip
    text = report(tmp_path, summary)
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name in ("src", "href", "style") or name.startswith("on")]
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in text.replace("http-equiv", "")
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text
    assert (tmp_path / "report.html").stat().st_mode & 0o777 == 0o600

    assert page.tags.count("details") == 8, "four of each kind"
    assert text.count('class="dot buy"') == 1
    assert text.count('class="dot sell"') == 1
    assert text.count('<path class="block"') == 17
    assert "No market data arrived for longer than market.stale_ms." in text
    assert "bought 0.01 at 100.5 as maker" in text, "the fill stands in the explained decision"
    assert text.index("z_first") < text.index("a_second"), "gates keep the order in which they are asked"
    assert "BTCUSDT LONG" in text


def test_nothing_from_outside_becomes_markup(tmp_path):
    gate = {"gate": EVIL, "mode": "enforce", "verdict": "block", "reason": EVIL, "error": EVIL,
            "inputs": {EVIL: EVIL}, "threshold": {"value": 1.0, "source": EVIL, "evidence": EVIL}}  # fmt: skip
    order = {"kind": "PLACE", "symbol": EVIL, "side": EVIL, "tif": EVIL, "price": "1", "wanted_qty": "1"}
    row = a_decision(0, id=EVIL, origin=EVIL, order=order, reason=EVIL, by=EVIL, detail=EVIL, gates=[gate],
                     outcome="blocked", warnings=[EVIL])  # fmt: skip
    odd = a_decision(1, outcome=EVIL)
    a_run(tmp_path, [row, odd], [a_fill(0, symbol=EVIL, side=EVIL, intent_id=EVIL, trade_id=EVIL, fee_asset=EVIL)])
    summary = Summary(
        run_id=EVIL,
        profile=EVIL,
        inputs=(InputRow(path=EVIL, sha256=EVIL),),
        plugins=(PluginRow(name=EVIL, version=EVIL, mode=EVIL),),
        decisions=DecisionCounts(by_gate={EVIL: GateCounts(block=1)}, by_reason={EVIL: 1}),
        positions=(PositionRow(symbol=EVIL, route=EVIL, position_side=EVIL, qty=Decimal(1), entry_price=Decimal(1)),),
        records=RecordHealth(lost=1, error=EVIL),
        reasons={EVIL: EVIL},
        settings_sha256=EVIL,
    )
    text = report(tmp_path, summary)
    page = Page(text)
    assert not {"script", "img"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "\x1b" not in text
    assert "".join(page.text).count("<script>alert(1)</script>") > 20, "shown, as text"


def test_a_long_run_gives_a_small_page(tmp_path):
    a_run(tmp_path, [a_decision(n) for n in range(20_000)], [a_fill(n) for n in range(5_000)])
    text = report(tmp_path)
    assert len(text) < 250_000
    points = text.split('points="')[1].split('"')[0].split(" ")
    assert 1000 <= len(points) <= 2000
    assert "even sample" in text
    assert text.count('class="dot') <= 400
    assert text.count("<details>") <= 20


def test_many_symbols_are_named_but_not_all_drawn(tmp_path):
    order = a_decision(1)["order"]
    a_run(tmp_path, [a_decision(n, order=order | {"symbol": f"S{n:04d}"}) for n in range(300)], [])
    text = report(tmp_path)
    assert text.count("<figure>") == 6
    assert "Not drawn: S0006, S0007" in text
    assert "S0200" not in text


def test_what_cannot_be_read_is_said(tmp_path):
    a_run(tmp_path, [a_decision(n) for n in range(4)], [])
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(b"garbage\n" + path.read_bytes()[:-9])
    (tmp_path / "fills.jsonl").unlink()
    text = report(tmp_path)
    assert "2 lines of decisions.jsonl are cut off or corrupt and left out." in text
    assert "fills.jsonl cannot be read: No such file or directory." in text
    assert text.count("<details>") == 3


@pytest.mark.parametrize("mids", [[None], [0.0], [5.0], [5.0, 5.0], [1e-9, 2e-9], [1.0, 1e9]])
def test_odd_prices_still_make_a_page(tmp_path, mids):
    a_run(tmp_path, [a_decision(n, mid=mid) for n, mid in enumerate(mids)], [a_fill(0, price="7e5")])
    text = report(tmp_path)
    Page(text)
    assert "nan" not in text
    assert ("no mid price was known" in text) == (not mids[0])


def test_a_run_without_decisions_makes_a_page(tmp_path):
    a_run(tmp_path, [], [])
    text = report(tmp_path)
    Page(text)
    assert "No decision was made." in text


def test_what_is_not_a_summary_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not a summary"):
        write_report(tmp_path, {"run_id": 1})


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 300), st.integers(2, 20))
def test_a_thinned_stream_is_even_and_bounded(size, limit):
    kept: Thinned[int] = Thinned(limit)
    for item in range(size):
        kept.add(item)
    assert len(kept.items) <= limit
    assert len(kept.items) >= min(size, limit // 2)
    steps = {b - a for a, b in zip(kept.items, kept.items[1:], strict=False)}
    assert len(steps) <= 1, "even"
    assert kept.items[:1] == list(range(size))[:1]
    assert kept.thinned == (size > limit)
