from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grinder import Side
from grinder.cli.main import invoke
from grinder.evidence.markouts import Markouts
from grinder.evidence.recorder import Recorder, canonical
from grinder.evidence.summary import Summary


def a_decision(known: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": known, "ts_ns": 1754006400 * 10**9, "origin": "grid", "outcome": "allowed", "reason": "OK",
        "by": "gates", "risk": "INCREASE", "qty": "0.01", "route": "paper", "trading_state": "ACTIVE", "mid": 100.0,
        "order": {"kind": "PLACE", "symbol": "BTCUSDT", "side": "BUY", "tif": "GTC", "price": "99.9",
                  "wanted_qty": "0.01"},
        "gates": [],
    } | changes  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    out = tmp_path / "run"
    recorder = Recorder(out, run_id="r")
    recorder.decision(canonical(a_decision("aa01")))
    recorder.decision(canonical(a_decision("aa02", outcome="blocked", reason="SPREAD_WIDE", by="spread", route=None)))
    recorder.decision(canonical(a_decision("bb03", outcome="blocked", reason="MARKET_STALE", route=None)))
    recorder.decision(canonical(a_decision("cc04", client_id="grinder_x_4")))
    fill = {"trade_id": "t", "ts_ns": 1754006401 * 10**9, "intent_id": "aa01", "client_id": "grinder_x_1",
            "side": "BUY", "price": "99.9", "qty": "0.01", "fee": "0.1", "fee_asset": "USDT",
            "maker": True}  # fmt: skip
    recorder.fill(canonical(fill))
    recorder.close()
    markouts = Markouts(out)
    markouts.track("aa01", "BTCUSDT", Side.BUY, 0, 100.0)
    markouts.close()
    Summary(run_id="r", reasons={"SPREAD_WIDE": "The spread is too wide."}).write(out)
    return out


def explain(capsys: Any, run: Path, known: str, *more: str) -> tuple[int, str, str]:
    code = invoke(["explain", known, "--run", str(run), *more])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("known", ["aa01", "grinder_x_1"])
def test_by_intent_and_by_client_id_with_its_fills(capsys, run, known):
    code, out, err = explain(capsys, run, known)
    assert (code, err) == (0, "")
    assert out.startswith("Decision aa01 was ALLOWED by gates: OK.")
    assert "bought 0.01 at 99.9 as maker, fee 0.1 USDT" in out
    assert "The mid price later: unknown after 1 s" in out


def test_the_meaning_of_a_plugins_reason_comes_with_the_run(capsys, run):
    assert "SPREAD_WIDE.\nThe spread is too wide." in explain(capsys, run, "aa02")[1]
    (run / "summary.json").unlink()
    code, out, _ = explain(capsys, run, "aa02")
    assert code == 0
    assert "SPREAD_WIDE.\n\nWhen" in out
    (run / "summary.json").write_text("{")
    code, _, err = explain(capsys, run, "bb03")
    assert code == 0
    assert "warning: " in err


def test_a_unique_beginning_is_enough(capsys, run):
    assert explain(capsys, run, "bb")[1].startswith("Decision bb03 ")


def test_an_ambiguous_beginning_names_the_ids(capsys, run):
    code, out, err = explain(capsys, run, "aa")
    assert (code, out) == (2, "")
    assert "'aa' is the beginning of several ids, such as aa01, aa02" in err


def test_conveniences(capsys, run):
    assert explain(capsys, run, "last")[1].startswith("Decision cc04 was ALLOWED")
    assert explain(capsys, run, "last-blocked")[1].startswith("Decision bb03 was BLOCKED")


def test_a_client_id_in_the_record_is_found_before_there_is_a_fill(capsys, run):
    assert explain(capsys, run, "grinder_x_4")[1].startswith("Decision cc04 was ALLOWED")


def test_json_is_one_object_with_the_records(capsys, run):
    code, out, _ = explain(capsys, run, "aa01", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["decision"]["id"] == "aa01"
    assert found["fills"][0]["client_id"] == "grinder_x_1"
    assert found["markout"]["mid_1s"] is None


def test_an_unknown_id_names_the_nearest(capsys, run):
    code, out, err = explain(capsys, run, "aa1")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert "no decision 'aa1' in" in err
    assert "the nearest ids are aa01," in err


def test_an_empty_run_has_nothing_to_explain(capsys, tmp_path):
    Recorder(tmp_path, run_id="r").close()
    assert explain(capsys, tmp_path, "last-blocked")[::2] == (
        2,
        f"error: {tmp_path}/decisions.jsonl holds no blocked decision\n",
    )
    assert explain(capsys, tmp_path, "x")[0] == 2


@pytest.mark.parametrize("mistyped", ["last-allowed", "Last", "lastblocked", "last_blocked"])
def test_a_mistyped_keyword_names_the_keywords(capsys, run, mistyped):
    code, out, err = explain(capsys, run, mistyped)
    assert (code, out) == (2, "")
    assert err.endswith("did you mean 'last' or 'last-blocked'?\n")


def test_every_error_begins_with_the_same_word(capsys):
    assert invoke(["explain"]) == 2
    usage = capsys.readouterr().err
    assert usage.startswith("Usage: grinder explain")
    assert "\nerror: Missing argument 'ID'." in usage
    assert "Error" not in usage


def test_what_the_venue_closed_is_told_with_its_fills(capsys, run):
    """It has an id of the venue's and no decision; other fills of the file are not told."""
    closure = {"trade_id": "p9", "ts_ns": 1754006402 * 10**9, "intent_id": "", "client_id": "autoclose-7",
               "symbol": "BTC\x1bUSDT", "side": "SELL", "price": "55.5", "qty": "0.01", "fee": "0", "fee_asset": "USDT",
               "maker": False, "cause": "LIQUIDATION"}  # fmt: skip
    with (run / "fills.jsonl").open("ab") as file:
        file.write(canonical(closure) + b"\n" + canonical(closure | {"trade_id": "p10", "qty": "0.02"}) + b"\n")
    code, out, err = explain(capsys, run, "autoclose-7")
    assert (code, err) == (0, "")
    assert out.startswith(
        "No decision stands behind autoclose-7: the venue itself closed the position in BTC\\x1bUSDT, by a"
    )
    assert [line.split("  ")[1].split(" as ")[0] for line in out.splitlines()[3:]] == [
        "sold 0.01 at 55.5",
        "sold 0.02 at 55.5",
    ]
    assert "\x1b" not in out
    found = json.loads(explain(capsys, run, "autoclose-7", "--json")[1])
    assert (found["decision"], [fill["trade_id"] for fill in found["fills"]]) == (None, ["p9", "p10"])
    assert explain(capsys, run, "autoclose-8")[0] == 2


def test_missing_directory_and_files_are_the_operators_mistake(capsys, run, tmp_path):
    code, _, err = explain(capsys, tmp_path / "none", "aa01")
    assert code == 2
    assert "none does not exist; name one with --run" in err
    (run / "fills.jsonl").unlink()
    code, _, err = explain(capsys, run, "aa01")
    assert code == 2
    assert "fills.jsonl: No such file or directory" in err
    assert "Traceback" not in err


def test_a_line_that_is_still_being_written_is_passed_over(capsys, run):
    with (run / "decisions.jsonl").open("ab") as file:
        file.write(b'{"id":"dd05","outco')
    code, out, err = explain(capsys, run, "last")
    assert code == 0
    assert "Decision cc04" in out
    assert err.count("warning: ") == 1
    assert "decisions.jsonl, line 5: cut off" in err


@pytest.mark.parametrize("garbage", [b"{\n", b"\xff\xfe\n", b'{"id":1}\n', b'{"x":' + b"[" * 200_000 + b"\n", b"\n"])
def test_a_corrupt_line_is_named_and_what_is_readable_is_still_shown(capsys, run, garbage):
    path = run / "decisions.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], garbage, *lines[2:], b"corrupt as well\n"]))
    code, out, err = explain(capsys, run, "cc04")
    assert code == 3
    assert "decisions.jsonl, line 3: is corrupt" in err
    assert out.startswith("Decision cc04")
    code, out, err = explain(capsys, run, "unknown")
    assert (code, out) == (3, "")


def test_the_default_directory_is_where_make_paper_writes(capsys, run, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    run.rename(tmp_path / "runs/paper")
    monkeypatch.chdir(tmp_path)
    assert invoke(["explain", "aa01"]) == 0
    assert "Decision aa01" in capsys.readouterr().out
