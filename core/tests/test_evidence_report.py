from __future__ import annotations

import base64
import hashlib
import re
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder.evidence.explain import explain
from grinder.evidence.recorder import Recorder, canonical
from grinder.evidence.report import write_report
from grinder.evidence.summary import (
    DecisionCounts,
    GateCounts,
    InputRow,
    Outcomes,
    PluginRow,
    Pnl,
    PositionRow,
    RecordHealth,
    Summary,
)
from grinder.evidence.thinning import OTHER, Bins, Thinned
from grinder.evidence.timeline import TIMELINE, Sample, SymbolSample
from grinder.reasons import CORE_REASONS
from grinder.settings.saved import SETTINGS

EVIL = "<script>alert(1)</script><img src=x onerror='alert(1)'>\"'&\x1b\u2028</title></style></svg>"
VOID = {"meta", "img", "br", "link", "input"}
BLOCKS = {"p", "div", "section", "article", "figure", "table", "dl", "pre", "details", "h2", "h3", "form"}
T0 = 1754006400 * 10**9
SECOND = 10**9


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
        assert self._open == [], "every tag is closed"
        ids = [value for name, value in self.attributes if name == "id"]
        assert len(ids) == len(set(ids)), "an id stands once"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert len({name for name, _ in attrs}) == len(attrs), "an attribute stands once"
        if tag in BLOCKS:
            assert not {"p", "summary", "span"} & set(self._open), f"<{tag}> would close what it stands in"
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
        "ts_ns": T0 + n * SECOND,
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
    return {"trade_id": f"t{n}", "ts_ns": T0 + n * SECOND, "intent_id": f"i{n}", "client_id": "c",
            "symbol": "BTCUSDT", "side": "BUY", "price": "100.5", "qty": "0.01", "fee": "0.1", "fee_asset": "USDT",
            "maker": True} | changes  # fmt: skip


def a_run(out: Path, decisions: list[dict[str, Any]], fills: list[dict[str, Any]]) -> None:
    recorder = Recorder(out, run_id="r")
    for row in decisions:
        recorder.decision(canonical(row))
    for row in fills:
        recorder.fill(canonical(row))
    recorder.close()


def a_sample(n: int, **changes: Any) -> Sample:
    net = Decimal(-n * n % 50)
    facts: dict[str, Any] = {
        "ts_ns": T0 + n * SECOND,
        "equity": 1000 + net,
        "net": net,
        "parts": {"realised": net, "fees": Decimal(0)},
        "symbols": {"BTCUSDT": SymbolSample(qty=Decimal(n % 3 - 1), mid=100.0 + n % 7, silence_ms=10 * n)},
    }
    return Sample(**facts | changes)


def write_timeline(out: Path, samples: list[Sample]) -> None:
    (out / TIMELINE).write_bytes(b"".join(canonical(sample) + b"\n" for sample in samples))


def report(out: Path, summary: Summary | None = None) -> str:
    (summary or Summary(run_id="r")).write(out)
    write_report(out)
    return (out / "report.html").read_text()


def whole(out: Path, count: int = 50) -> None:
    """Every file of a run."""
    a_run(out, [a_decision(n) for n in range(count)], [a_fill(1), a_fill(2, side="SELL", maker=False)])
    write_timeline(out, [a_sample(n) for n in range(count)])
    (out / SETTINGS).write_text('{"settings": {"plugins": {"warm_up": {"seconds": 90.0}}}}')
    rows = [{"id": f"i{n}", "symbol": "BTCUSDT", "side": "BUY", "ts_ns": T0, "mid": 100.0, "mid_1s": 101.0}
            for n in range(count)]  # fmt: skip
    (out / "markouts.jsonl").write_bytes(b"".join(canonical(row) + b"\n" for row in rows))


def test_the_page_stands_alone_and_shows_the_run(tmp_path):
    whole(tmp_path)
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
        pnl=Pnl(realised=Decimal(-3), net=Decimal("-3.2")),
        decision_buckets_us=((16.384, 40), (32.768, 10)),
    )  # fmt: skip
    text = report(tmp_path, summary)
    page = Page(text)
    assert not {"link", "img", "iframe", "object", "base"} & set(page.tags)
    assert page.tags.count("script") == page.tags.count("style") == 1
    assert not [name for name, _ in page.attributes if name in ("src", "style", "action") or name.startswith("on")]
    assert all(value.startswith("#") for name, value in page.attributes if name in ("href", "xlink:href"))
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in text.replace("http-equiv", "")
    assert (tmp_path / "report.html").stat().st_mode & 0o777 == 0o600

    assert text.count('<use class="buy-maker"') == 1
    assert text.count('<use class="sell-taker"') == 1
    assert text.count('<use class="stop"') == 17
    assert "No market data arrived for longer than market.stale_ms," in text
    assert text.index("z_first") < text.index("a_second"), "gates keep the order in which they are asked"
    assert "BTCUSDT LONG" in text
    assert "\N{MINUS SIGN}3.20" in text
    assert "plugins.warm_up.seconds" in text
    for name in ("equity", "below the highest", "realised", "fees", "held", "MARKET_STALE", "near_liq"):
        assert f'data-name="{name}"' in text, name


def test_its_policy_allows_its_own_style_and_script_and_nothing_else(tmp_path):
    whole(tmp_path)
    text = report(tmp_path)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1].replace("&#x27;", "'")
    for tag in ("style", "script"):
        content = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]
        assert f"{tag}-src 'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_orders_and_cancels_are_counted_apart(tmp_path):
    """Shares are of orders to place or amend; that cancels always pass says nothing of gates."""
    cancel = {"kind": "CANCEL", "symbol": "BTCUSDT", "side": "BUY", "target": "i1"}
    rows = [a_decision(n) for n in range(9)] + [a_decision(n, order=cancel) for n in (10, 11)]
    rows.append(a_decision(12, order=cancel, reason="ORDER_GONE", outcome="dropped"))
    a_run(tmp_path, rows, [])
    gathered = write_report(tmp_path)
    assert gathered.summary.decisions.cancels == Outcomes(allowed=2, dropped=1, by_reason={"ORDER_GONE": 1})
    assert gathered.summary.decisions.orders.wanted == 9
    text = "".join(Page((tmp_path / "report.html").read_text()).text)
    assert "9 orders to place or amend: 6 sent, 3 blocked by gates or rules. " in text
    assert "Beside them 3 cancels, 1 of them not sent. " in text
    assert "The most frequent reason was MARKET_STALE (33.3 % of orders)." in text
    assert "Sent6of 9 orders; 3 cancels apart" in text
    assert "Not sent33.3 %3 blocked, 0 dropped" in text
    assert "ORDER_GONE10.0 % of orders, 1 cancel among them" in text
    assert gathered.why.total() == {"": 6, "MARKET_STALE": 3}, "and the bars are of orders as well"


def test_a_closed_position_is_flat_and_profit_and_loss_adds_up(tmp_path):
    flat = PositionRow(symbol="BTCUSDT", route="paper", position_side="BOTH", qty=Decimal(0), entry_price=Decimal(0),
                       price=Decimal(5), realised=Decimal("1.5"), unrealised=Decimal(0))  # fmt: skip
    pnl = Pnl(realised=Decimal("1.5"), net=Decimal("0.25"))
    text = report(tmp_path, Summary(run_id="r", positions=(flat,), fees=Decimal("1.25"), pnl=pnl))
    assert "flat--1.50paper" in "".join(Page(text).text)
    rows = re.search(r"Profit and loss, quote units.*?</table>", text, re.DOTALL)[0]
    amounts = re.findall(r'data-label="amount" class=n>([^<]*)<', rows)
    *parts, net = (Decimal(amount.replace("\N{MINUS SIGN}", "-")) for amount in amounts)
    assert sum(parts) == net == Decimal("0.25")


def test_what_the_venue_closed_is_never_left_out(tmp_path):
    """One liquidation among so many fills that those are drawn from a sample."""
    fills = (a_fill(n, **{"cause": "LIQUIDATION"} if n == 777 else {}) for n in range(2_000))
    a_run(tmp_path, [a_decision(n) for n in range(50)], fills)
    text = report(tmp_path)
    assert text.count('<use class="closed" href="#closed"') == 1
    assert "closed by the venue" in text
    assert "by the venue: LIQUIDATION</title>" in text


def test_blocks_that_follow_closely_are_one_band_and_look_alike_for_every_symbol(tmp_path):
    """However many more decisions a symbol has, the same blocks are the same picture."""
    order = a_decision(1)["order"]
    rows = []
    for n in range(3_000):
        stopped = 500 <= n < 1_500 or n == 2_500
        what = {"outcome": "blocked", "reason": "MARKET_STALE"} if stopped else {"outcome": "allowed", "reason": "OK"}
        rows.append(a_decision(n, **what))
        rows += [a_decision(n, order=order | {"symbol": "OTHER"}, **what)] * (1 if stopped else 3)
    a_run(tmp_path, rows, [])
    one, other = report(tmp_path).split('aria-label="OTHER')
    bands = re.findall(r'<rect class="band stop" x="([^"]*)" width="([^"]*)".*?<title>(.*?)</title>', one)
    assert bands == [("16.67%", "33.31%", "00:08:20.000Z to 00:24:59.000Z: 1,000 not sent, 1,000 MARKET_STALE")]
    drawn = r'<(?:rect class="band|use class="stop").*?</title>'
    assert re.findall(drawn, one) == [mark.replace("OTHER", "BTCUSDT") for mark in re.findall(drawn, other)]
    assert one.count('<use class="stop"') == 1, "a single one is a tick"


def test_no_picture_repeats_the_title_of_its_section_and_seconds_stand_at_the_axis(tmp_path):
    whole(tmp_path)
    text = report(tmp_path)
    for title, body in re.findall(r"<h2[^>]*>([^<]*)</h2>(.*?)</section>", text, re.DOTALL):
        assert title not in re.findall(r"<figcaption><b>([^<]*)</b>", body)
    silence = re.search(r"<b>Silence</b>.*?</figure>", text, re.DOTALL)[0]
    beside = re.findall(
        r"<text[^>]*>([^<]*)<", silence[silence.index('class="beside"') : silence.index('class="below"')]
    )
    assert len(beside) > 1
    assert all(tick.endswith(" s") for tick in beside)


def test_an_example_says_what_explain_says(tmp_path):
    gates = [{"gate": "g", "mode": "enforce", "verdict": "block", "reason": "LOW", "inputs": {"depth": 1.5}}]
    whole(tmp_path)
    row = a_decision(3, gates=gates, by="g", reason="LOW", outcome="blocked")
    a_run(tmp_path, [row], [a_fill(3)])
    text = report(tmp_path, Summary(run_id="r", decisions=DecisionCounts(blocked=1, by_reason={"LOW": 1})))
    markout = msgspec.json.decode((tmp_path / "markouts.jsonl").read_bytes().splitlines()[3])
    fill = msgspec.json.decode((tmp_path / "fills.jsonl").read_bytes())
    words = explain(row, lambda code: CORE_REASONS.get(code, code), [fill, markout])
    assert "bought 0.01 at 100.5 as maker" in words
    assert "after 1 s" in words
    page = Page(text)
    assert words in page.text, "letter by letter"


def test_nothing_from_outside_becomes_markup(tmp_path):
    gate = {"gate": EVIL, "mode": "enforce", "verdict": "block", "reason": EVIL, "error": EVIL,
            "inputs": {EVIL: EVIL}, "threshold": {"value": 1.0, "source": EVIL, "evidence": EVIL}}  # fmt: skip
    order = {"kind": "PLACE", "symbol": EVIL, "side": EVIL, "tif": EVIL, "price": "1", "wanted_qty": "1"}
    row = a_decision(0, id=EVIL, origin=EVIL, order=order, reason=EVIL, by=EVIL, detail=EVIL, gates=[gate],
                     outcome="blocked", warnings=[EVIL])  # fmt: skip
    odd = a_decision(1, outcome=EVIL)
    a_run(tmp_path, [row, odd], [a_fill(0, symbol=EVIL, side=EVIL, intent_id=EVIL, trade_id=EVIL, fee_asset=EVIL)])
    held = {EVIL: SymbolSample(qty=Decimal(1), mid=1.0, fault=EVIL)}
    write_timeline(tmp_path, [a_sample(n, parts={EVIL: Decimal(n)}, symbols=held) for n in range(3)])
    (tmp_path / SETTINGS).write_bytes(msgspec.json.encode({"settings": {EVIL: EVIL}}))
    summary = Summary(
        run_id=EVIL,
        profile=EVIL,
        inputs=(InputRow(path=EVIL, sha256=EVIL),),
        plugins=(PluginRow(name=EVIL, version=EVIL, mode=EVIL),),
        decisions=DecisionCounts(by_gate={EVIL: GateCounts(block=1)}, by_reason={EVIL: 1}),
        rejects={EVIL: 1},
        positions=(PositionRow(symbol=EVIL, route=EVIL, position_side=EVIL, qty=Decimal(1), entry_price=Decimal(1)),),
        records=RecordHealth(lost=1, error=EVIL),
        reasons={EVIL: EVIL},
        settings_sha256=EVIL,
    )
    text = report(tmp_path, summary)
    page = Page(text)
    assert page.tags.count("script") == 1
    assert page.tags.count("style") == 1
    assert "img" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "\x1b" not in text
    assert "\u2028" not in text
    assert "".join(page.text).count("<script>alert(1)</script>") > 25, "shown, as text"


def test_a_long_run_gives_a_small_page(tmp_path):
    """What is drawn is an even sample, whatever the records hold."""
    symbols = [f"S{n}" for n in range(8)]
    long = {"gates": [{"gate": f"g{n}", "mode": "enforce", "verdict": "allow",
                       "inputs": {f"input_{k}": k / 7 for k in range(8)}} for n in range(8)]}  # fmt: skip
    order = a_decision(1)["order"]
    reasons = [f"REASON_{n}" for n in range(100)]
    rows = (
        a_decision(
            n, order=order | {"symbol": symbols[n % 8]}, reason=reasons[n // 3 % 100], by=f"gate_{n % 40}", **long
        )
        for n in range(16_000)
    )
    a_run(tmp_path, rows, (a_fill(n, symbol=symbols[n % 8]) for n in range(8_000)))
    each = {symbol: SymbolSample(qty=Decimal("0.123"), mid=61234.5678, silence_ms=123) for symbol in symbols}
    write_timeline(tmp_path, [a_sample(n, symbols=each) for n in range(3_000)])
    counts = DecisionCounts(blocked=1, by_reason=dict.fromkeys(reasons, 1))
    text = report(tmp_path, Summary(run_id="r", decisions=counts))
    assert len(text) < 1_300_000
    assert "even sample" in text
    assert text.count("<use class=") <= 6 * 400
    assert text.count('<details class="example">') <= 90
    shown = re.findall(r'data-name="mid" data-x="([^"]*)"', text)
    assert len(shown) == 6
    assert all(300 <= len(xs.split()) <= 1200 for xs in shown)
    assert "Not drawn: S6, S7." in text


def test_the_same_files_give_the_same_page(tmp_path):
    pages = []
    for name in ("one", "other"):
        out = tmp_path / name
        out.mkdir()
        whole(out)
        pages.append(report(out))
    assert pages[0] == pages[1]


def test_many_symbols_are_named_but_not_all_drawn(tmp_path):
    order = a_decision(1)["order"]
    a_run(tmp_path, [a_decision(n, order=order | {"symbol": f"S{n:04d}"}) for n in range(300)], [])
    text = report(tmp_path)
    assert text.count('aria-label="S0') == 6
    assert "Not drawn: S0006, S0007" in text
    assert "S0200" not in text


def test_what_cannot_be_read_is_said(tmp_path):
    a_run(tmp_path, [a_decision(n) for n in range(4)], [])
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(b"garbage\n" + path.read_bytes()[:-9])
    (tmp_path / "fills.jsonl").unlink()
    text = report(tmp_path)
    assert "1 lines of decisions.jsonl are corrupt and left out." in text
    assert "The last line of decisions.jsonl is cut off and left out" in text
    for name in ("fills.jsonl", "timeline.jsonl", "markouts.jsonl", "settings.json"):
        assert f"{name} is missing" in text
    assert "This run left no timeline of equity." in text


def test_without_a_summary_figures_are_counted(tmp_path):
    whole(tmp_path, 51)
    gathered = write_report(tmp_path)
    text = (tmp_path / "report.html").read_text()
    Page(text)
    assert "summary.json is missing" in text
    assert not gathered.complete
    assert (gathered.summary.decisions.allowed, gathered.summary.decisions.blocked) == (34, 17)
    assert gathered.summary.decisions.by_reason == {"MARKET_STALE": 17}
    assert (gathered.summary.fills, gathered.summary.maker_fills, gathered.summary.fees) == (2, 1, Decimal("0.2"))
    assert gathered.summary.pnl.net == a_sample(50).net
    assert gathered.corrupt is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff\xfe",
        b'{"run_id": 1}',
        b'{"run_id": "r", "covered_ns": [0, 1e400]}',
        b'{"run_id": "r", "fees": "NaN"}',
        b'{"run_id": "r", "fees": "sNaN"}',
        b'{"run_id": "r", "volume": "1e999999"}',
        b'{"run_id": "r", "events": 99999999999999999999999999}',
        b"[" * 5000,
    ],
)
def test_what_is_not_a_summary_is_said_and_the_rest_is_shown(tmp_path, content):
    whole(tmp_path)
    (tmp_path / "summary.json").write_bytes(content)
    gathered = write_report(tmp_path)
    assert gathered.corrupt is not None
    assert "summary.json" in str(gathered.corrupt)
    assert gathered.summary.decisions.allowed == 33
    assert "is not a readable summary" in (tmp_path / "report.html").read_text()


HOSTILE = [
    {"ts_ns": -1},
    {"ts_ns": 1 << 63},
    {"mid": 1e300},
    {"mid": -5.0},
    {"qty": "NaN"},
    {"reason": ""},
    {"by": ""},
    {"outcome": ""},
    {"order": {"kind": "", "symbol": "", "side": "", "price": "sNaN", "wanted_qty": "1e999999"}},
    {"order": {"kind": "PLACE", "symbol": "BTCUSDT", "side": "BUY", "price": "1e999999"}},
    {"warnings": ["x" * 20_000]},
]


@pytest.mark.parametrize("changes", HOSTILE)
def test_hostile_decisions_still_make_a_page(tmp_path, changes):
    whole(tmp_path)
    a_run(tmp_path, [a_decision(0), a_decision(3, **changes), a_decision(6)], [])
    text = report(tmp_path, Summary(run_id="r", decisions=DecisionCounts(by_reason={"MARKET_STALE": 3, "": 1})))
    Page(text)
    assert len(text) < 200_000
    assert not re.search(r'(?:data-v|d)="[^"]*(?:nan|inf)', text)


@pytest.mark.parametrize(
    "row",
    [
        {"equity": "NaN"},
        {"equity": "1e999999"},
        {"net": "Infinity"},
        {"parts": {"realised": "sNaN"}},
        {"ts_ns": 5},
        {"ts_ns": (1 << 63) - 1},
        {"symbols": {"BTCUSDT": {"qty": "1e400", "mid": 1e300, "silence_ms": 1 << 62, "gaps": -1}}},
        {"symbols": {f"S{n}": {} for n in range(500)}},
        {"parts": {f"p{n}": "1" for n in range(500)}},
    ],
)
def test_hostile_samples_still_make_a_page(tmp_path, row):
    whole(tmp_path)
    good = [msgspec.to_builtins(a_sample(n)) for n in range(4)]
    lines = [*good[:2], good[2] | row, good[3]]
    (tmp_path / TIMELINE).write_bytes(b"".join(canonical(line) + b"\n" for line in lines))
    text = report(tmp_path)
    Page(text)
    assert len(text) < 300_000
    assert not re.search(r'(?:data-v|d)="[^"]*(?:nan|inf)', text)


@pytest.mark.parametrize("name", ["decisions.jsonl", "fills.jsonl", "timeline.jsonl"])
@pytest.mark.parametrize("ts_ns", [-1, 1 << 63, 1 << 80])
def test_a_time_that_cannot_be_is_corrupt(tmp_path, name, ts_ns):
    whole(tmp_path, 4)
    lines = (tmp_path / name).read_bytes().splitlines()
    (tmp_path / name).write_bytes(
        lines[0] + b"\n" + canonical(msgspec.json.decode(lines[1]) | {"ts_ns": ts_ns}) + b"\n"
    )
    gathered = write_report(tmp_path)
    assert f"{name}, line 2: is corrupt" in str(gathered.corrupt)
    assert gathered.last_ns - gathered.first_ns < 10 * SECOND


@pytest.mark.parametrize("price", ["NaN", "sNaN", "-Infinity", "1e999999", "0", "-1"])
def test_hostile_fills_still_make_a_page(tmp_path, price):
    a_run(tmp_path, [a_decision(n) for n in range(3)], [a_fill(0, price=price), a_fill(1, qty=price, fee=price)])
    write_report(tmp_path)
    Page((tmp_path / "report.html").read_text())


def test_payments_and_what_the_venue_closed_have_their_places(tmp_path):
    a_run(tmp_path, [a_decision(n) for n in range(3)], [a_fill(1, intent_id="", cause="LIQUIDATION"), a_fill(2)])
    write_timeline(tmp_path, [a_sample(n, parts={"funding": Decimal(-n), "later_kind": Decimal(n)}) for n in range(3)])
    summary = Summary(
        run_id="r", fills=2, payments={"funding": Decimal("-12.5")}, venue_closures={"liquidation": 1},
        decisions=DecisionCounts(allowed=2),
    )  # fmt: skip
    text = report(tmp_path, summary)
    Page(text)
    assert text.count('<use class="closed"') == 1
    assert "by the venue: LIQUIDATION" in text
    assert "The venue itself closed positions, with 1 fill." in text
    assert "\N{MINUS SIGN}12.5" in text
    for name in ("funding", "later kind"):
        assert f'data-name="{name}"' in text


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
    assert "No order was wanted in this run." in text
    assert "No decision was made." in text


def test_the_drawdown_is_the_largest_fall_from_a_highest(tmp_path):
    equity = [1000, 1010, 990, 1005, 1020, 1001]
    write_timeline(tmp_path, [a_sample(n, equity=Decimal(v), net=Decimal(v - 1000)) for n, v in enumerate(equity)])
    gathered = write_report(tmp_path)
    assert gathered.account.deepest == (20.0, 1010.0)
    assert [fall for _, fall in gathered.account.drawdown.items] == [0, 0, -20, -5, 0, -19]


def test_times_of_the_feed_states_add_up(tmp_path):
    faults = ["", "", "MARKET_STALE", "MARKET_STALE", "", "MARKET_GAP", ""]
    gaps = [0, 0, 0, 0, 0, 1, 2]
    write_timeline(
        tmp_path,
        [a_sample(n, symbols={"X": SymbolSample(fault=fault, gaps=gaps[n])}) for n, fault in enumerate(faults)],
    )
    series = write_report(tmp_path).symbols["X"]
    assert [(b - a, fault) for a, b, fault in series.states] == [
        (SECOND, ""), (2 * SECOND, "MARKET_STALE"), (SECOND, ""), (2 * SECOND, "MARKET_GAP")]  # fmt: skip
    assert (series.unusable_ns, series.sampled_ns, series.gaps) == (3 * SECOND, 6 * SECOND, 2)


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
    assert kept.line[-1:] == list(range(size))[-1:]
    assert kept.line[: len(kept.items)] == kept.items
    assert kept.thinned == (size > limit)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 10**13), st.sampled_from("abcdefgh"))))
def test_bins_lose_nothing_and_stay_few(events):
    bins = Bins(limit=16, keys=4)
    for ts_ns, key in events:
        bins.add(T0 + ts_ns, key)
    total = bins.total()
    assert total.total() == len(events)
    assert len(bins.bins) <= 16
    assert len(total.keys() - {OTHER}) <= 4
    named = total.keys() - {OTHER}
    assert all(total[key] == sum(k == key for _, k in events) for key in named)


def luminance(colour: str) -> float:
    channels = (int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_text_can_be_read_by_day_and_by_night(tmp_path):
    """Contrast as WCAG 2 asks for at level AA: 4.5 for text, and every series is written in its legend."""
    whole(tmp_path)
    by_day, by_night = re.findall(r":root \{(.*?)\}", report(tmp_path), re.DOTALL)[:2]
    for block in (by_day, by_night):
        colours = dict(re.findall(r"--([\w]+): (#[0-9a-f]{6});", block))
        assert len(colours) >= 18
        for name in colours.keys() - {"page", "card", "line", "faint"}:
            for ground in ("page", "card"):
                low, high = sorted((luminance(colours[name]), luminance(colours[ground])))
                assert (high + 0.05) / (low + 0.05) >= 4.5, f"{name} on {ground}"
