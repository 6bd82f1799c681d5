from __future__ import annotations

import resource
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from grinder import InputError, StateError
from grinder.evidence.screen import render
from grinder.evidence.summary import (
    DecisionCounts,
    FeedHealth,
    GateCounts,
    InputRow,
    OrderCounts,
    Outcomes,
    Pnl,
    PositionRow,
    RecordHealth,
    Summary,
    read_summary,
)
from grinder.evidence.text import number, printable, table

ARCHITECTURE = Path(__file__).resolve().parents[3] / "shared/spec/architecture.md"


def a_summary(**changes: object) -> Summary:
    values = {
        "run_id": "paper-1",
        "profile": "paper",
        "seed": 42,
        "inputs": (InputRow(path="b.gz", first_ns=1754006400 * 10**9, last_ns=1754006745 * 10**9,
                            clock_shift_ns=1_500_000),),
        "events": 93954,
        "intents": 1380,
        "decisions": DecisionCounts(
            allowed=1200,
            blocked=150,
            dropped=30,
            by_gate={"warm_up": GateCounts(allow=1000, block=100), "near_liq": GateCounts(shadow_block=12, error=3)},
            by_reason={"WARMING_UP": 150, "QTY_MIN": 30},
            cancels=Outcomes(allowed=299, dropped=1, by_reason={"QTY_MIN": 1}),
        ),
        "orders": OrderCounts(accepted=1200, cancelled=100),
        "fills": 10,
        "volume": Decimal("12345.6789"),
        "fees": Decimal("3.12"),
        "pnl": Pnl(realised=Decimal(10), net=Decimal("6.88")),
        "positions": (PositionRow(symbol="BTCUSDT", route="paper", position_side="BOTH", qty=Decimal("-0.003"),
                                  entry_price=Decimal("64250.10"), price=Decimal(64251)),),
        "feed": FeedHealth(gaps=2, stale_ms_max=4100, book_checks=12, book_mismatches=1),
        "wall_s": 0.9,
        "events_per_s": 104393.2,
        "reasons": {"WARMING_UP": "Not healthy for long enough.", "QTY_MIN": "Too small."},
        "example": "i42",
    }  # fmt: skip
    return Summary(**(values | changes))  # type: ignore[arg-type]


def test_summary_json_has_every_key_that_the_architecture_names(tmp_path):
    a_summary().write(tmp_path)
    found = msgspec.json.decode((tmp_path / "summary.json").read_bytes())
    nested = {
        "decisions": {"allowed", "blocked", "dropped", "by_gate", "by_reason", "cancels"},
        "orders": {"accepted", "rejected", "unknown", "absent", "cancelled", "filled", "partially_filled"},
        "pnl": {"realised", "unrealised", "net"},
        "feed": {"gaps", "stale_ms_max", "book_checks", "book_mismatches"},
        "decision_us": {"p50", "p99", "max"},
    }
    for key, parts in nested.items():
        assert set(found[key]) == parts
    assert list(found["decisions"]["by_gate"]) == ["warm_up", "near_liq"], "in the order in which they are asked"
    assert set(found["decisions"]["by_gate"]["warm_up"]) == {
        "allow", "warn", "shrink", "block", "abstain", "shadow_block", "error",
    }  # fmt: skip
    if not ARCHITECTURE.exists():
        pytest.skip(f"{ARCHITECTURE} is not there")
    text = ARCHITECTURE.read_text()
    listed = text[text.index("`summary.json` has at least") : text.index("Defaults: metrics on")]
    top = {"run_id", "profile", "seed", "inputs", "settings_sha256", "plugins", "events", "intents", "fills",
           "filled_orders", "maker_fills", "volume", "fees", "positions", "wall_s", "events_per_s",
           "decisions_sha256", "fills_sha256", *nested}  # fmt: skip
    assert all(f"`{key}`" in listed for key in top), "this list follows the architecture"
    assert top <= set(found)


def test_money_is_exact_and_the_file_reads_back(tmp_path):
    summary = a_summary(volume=Decimal("0.1") + Decimal("0.2"))
    summary.write(tmp_path)
    path = tmp_path / "summary.json"
    assert msgspec.json.decode(path.read_bytes())["volume"] == "0.3"
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_summary(tmp_path) == summary


def test_no_summary_is_none_and_a_broken_one_is_an_error(tmp_path):
    assert read_summary(tmp_path) is None
    for broken in (b"{", b'{"run_id": 3}', b"\xff"):
        (tmp_path / "summary.json").write_bytes(broken)
        with pytest.raises(InputError, match="is not a readable summary"):
            read_summary(tmp_path)


def test_a_full_disk_leaves_the_old_summary(tmp_path):
    a_summary().write(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(StateError, match="free space"):
            a_summary(seed=43).write(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    kept = read_summary(tmp_path)
    assert kept is not None
    assert kept.seed == 42


def test_the_closing_text_says_what_matters():
    text = render(a_summary(), Path("runs/x y"))
    assert text.splitlines() == [
        "run       paper-1, profile paper, seed 42",
        "input     b.gz, 2025-08-01T00:00:00Z to 2025-08-01T00:05:45Z (345 s), local clock shifted by 1.5 ms",
        "events    93,954 in 0.90 s (104,393 a second)",
        "intents   1,380: 1,080 orders and 300 cancels",
        "wanted    1,080 orders: 901 allowed, 150 blocked, 29 dropped, 16.6 % not sent",
        "cancels   299 allowed, 0 blocked, 1 dropped",
        "decision  0.0 us median, 0.0 us p99, 0.0 us max",
        "",
        "gate      allow  warn  shrink  block  abstain  shadow block  error",
        "warm_up   1,000     0       0    100        0             0      0",
        "near_liq      0     0       0      0        0            12      3",
        "",
        "reason      count  meaning",
        "WARMING_UP    150  Not healthy for long enough.",
        "QTY_MIN        30  Too small.",
        "",
        "orders    1,200 accepted, 100 cancelled",
        "fills     10 (0 maker) on 0 orders, volume 12,345.68",
        "pnl       net 6.88, the sum of realised 10, unrealised 0, fees -3.12",
        "position  BTCUSDT -0.003 from 64,250.1, valued at 64,251 (paper)",
        "feed      2 gaps, longest silence 4,100 ms, 1 of 12 book checks failed",
        "evidence  runs/x y",
        "try       grinder explain i42 --run 'runs/x y'",
    ]
    assert render(a_summary(), Path("runs/paper")).endswith("grinder explain i42"), "where explain looks by default"


def test_an_empty_run_is_told_as_such():
    text = render(Summary(run_id="r"))
    assert "intents   0: 0 orders and 0 cancels" in text
    assert "wanted    0 orders: 0 allowed, 0 blocked, 0 dropped\n" in text
    assert "position  flat" in text
    assert "try " not in text
    assert "reason" not in text


def test_profit_and_loss_adds_up_as_it_stands():
    """A cost is negative and an income positive, whatever it is called."""
    paid = {"funding": Decimal("-0.5"), "insurance": Decimal(2)}
    text = render(a_summary(payments=paid, fees=Decimal(-1), pnl=Pnl(realised=Decimal(-3), net=Decimal("-0.5"))))
    line = next(line for line in text.splitlines() if line.startswith("pnl"))
    net, _, parts = line.partition(", the sum of ")
    assert sum(Decimal(part.rsplit(" ", 1)[1]) for part in parts.split(", ")) == Decimal(net.rsplit(" ", 1)[1])
    assert "fees 1, funding -0.5, insurance 2" in parts


def test_a_position_that_was_closed_is_flat():
    closed = PositionRow(symbol="BTCUSDT", route="paper", position_side="LONG", qty=Decimal(0), entry_price=Decimal(0),
                         price=Decimal(64251), realised=Decimal("-6.5"), unrealised=Decimal(0))  # fmt: skip
    assert "position  BTCUSDT LONG flat, realised -6.5 (paper)" in render(a_summary(positions=(closed,)))


def test_orders_are_all_decisions_but_the_cancels():
    counts = a_summary().decisions
    assert (counts.wanted, counts.orders.wanted, counts.cancels.wanted) == (1380, 1080, 300)
    assert counts.orders.by_reason == {"WARMING_UP": 150, "QTY_MIN": 29}


def test_lost_records_are_shouted():
    text = render(a_summary(records=RecordHealth(lost=3, error="disk full")))
    assert "RECORDS   3 lines lost. disk full" in text


def test_only_the_most_frequent_reasons_are_listed():
    counts = DecisionCounts(by_reason={f"R{n:02d}": n for n in range(20)})
    text = render(a_summary(decisions=counts), top=3)
    assert "R19" in text
    assert "R17" in text
    assert "R16" not in text
    assert "... and 16 more in summary.json" in text, "R00 never happened"


def test_what_comes_from_outside_cannot_steer_the_terminal():
    text = render(a_summary(run_id="r\x1b[31m\nfake", inputs=(InputRow(path="a\x07\u202eb"),)))
    assert all(line.isprintable() for line in text.split("\n"))
    assert "r\\x1b[31m\\nfake" in text


def test_numbers_for_people():
    assert number(Decimal("1234.50")) == "1,234.5"
    assert number(Decimal("-0.00001")) == "0"
    assert number(Decimal("1E+4")) == "10,000"
    assert number(None) == "-"
    assert number(1e-9, 8) == "0"
    assert printable("ok ü") == "ok ü"
    assert list(table(("a", "n"), (("xx", "1"), ("y", "10")), 1)) == ["a    n", "xx   1", "y   10"]
