from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder import Side
from grinder.evidence.markouts import SECOND_NS, Markouts

S = SECOND_NS


def rows(out: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in (out / "markouts.jsonl").read_bytes().splitlines()]


def test_mids_after_one_five_and_thirty_seconds(tmp_path):
    markouts = Markouts(tmp_path)
    markouts.track("i1", "BTCUSDT", Side.BUY, 100 * S, 10.0)
    for second in range(101, 140):
        markouts.advance(second * S, "ETHUSDT", 1.0)
        markouts.advance(second * S, "BTCUSDT", float(second))
    markouts.flush()
    assert rows(tmp_path) == [
        {"id": "i1", "symbol": "BTCUSDT", "side": "BUY", "ts_ns": 100 * S, "mid": 10.0,
         "mid_1s": 101.0, "mid_5s": 105.0, "mid_30s": 130.0},
    ]  # fmt: skip
    markouts.close()


def test_a_mid_that_comes_too_late_or_never_is_null(tmp_path):
    markouts = Markouts(tmp_path)
    markouts.track("i1", "B", Side.SELL, 0, 0.0)
    markouts.track("i2", "A", Side.SELL, 0, float("nan"))
    markouts.advance(int(2.1 * S), "B", 5.0)
    markouts.advance(int(5.5 * S), "B", float("nan"))
    markouts.advance(int(5.6 * S), "B", 0.0)
    markouts.advance(10 * S, "B", 6.0)
    assert (tmp_path / "markouts.jsonl").stat().st_size == 0
    markouts.close()
    assert [(r["id"], r["mid"], r["mid_1s"], r["mid_5s"], r["mid_30s"]) for r in rows(tmp_path)] == [
        ("i2", None, None, None, None),
        ("i1", None, None, 6.0, None),
    ]


def test_memory_is_bounded_when_a_symbol_falls_silent(tmp_path):
    markouts = Markouts(tmp_path)
    for n in range(20_100):
        markouts.track(f"i{n}", "B", Side.BUY, n, 1.0)
    state = markouts._symbols["B"]
    assert [len(queue) for queue in state.queues] == [20_000] * 3
    markouts.advance(40 * S, "B", 2.0)
    assert [len(queue) for queue in state.queues] == [0, 0, 0]
    markouts.close()
    written = rows(tmp_path)
    assert [r["id"] for r in written] == [f"i{n}" for n in range(20_100)]
    assert written[99]["mid_30s"] is None
    assert written[100]["mid_30s"] == 2.0


def test_a_resumed_run_keeps_what_it_had(tmp_path):
    for keep in (False, True):
        markouts = Markouts(tmp_path, keep=keep)
        markouts.track(f"kept {keep}", "B", Side.BUY, 0, 1.0)
        markouts.close()
    assert [r["id"] for r in rows(tmp_path)] == ["kept False", "kept True"]
    Markouts(tmp_path).close()
    assert rows(tmp_path) == []


def decision(number: int, ts_ns: int, *, symbol: str = "B", kind: str = "PLACE", mid: float | None = 1.0) -> bytes:
    order = {"kind": kind, "symbol": symbol, "side": "BUY"}
    return msgspec.json.encode({"id": f"abcdef-1-{number:06d}", "ts_ns": ts_ns, "order": order, "mid": mid})


def test_earlier_decisions_without_a_line_are_followed_again_and_no_others(tmp_path):
    kept = [f'{{"id":"abcdef-1-{number:06d}"}}' for number in (1, 4)]
    strange = ["{", "{}", '{"id":"2"}', '{"id":"x"}', '{"id":"abcdef-1-999999"}', '{"id":"abcdef-1-00000']
    (tmp_path / "markouts.jsonl").write_text("\n".join([*kept, *strange]))
    markouts = Markouts(tmp_path, keep=True)
    made = [
        decision(1, 0),
        decision(3, 1 * S),
        decision(4, 1 * S, symbol="A"),
        decision(5, 1 * S, kind="CANCEL"),
        decision(6, 2 * S, kind="AMEND", mid=None),
        decision(7, 3 * S),
    ]
    markouts.restore(iter(made), 8)
    for second in range(1, 36):
        markouts.advance(second * S, "B", 100.0 + second)
        markouts.recall(second * S)
    markouts.close()
    lines = (tmp_path / "markouts.jsonl").read_text().splitlines()
    assert lines[: len(kept) + len(strange) - 1] == [*kept, *strange[:-1]]
    assert [msgspec.json.decode(line) for line in lines[len(kept) + len(strange) - 1 :]] == [
        {"id": f"abcdef-1-{number:06d}", "symbol": "B", "side": "BUY", "ts_ns": at * S, "mid": mid,
         "mid_1s": 101.0 + at, "mid_5s": 105.0 + at, "mid_30s": 130.0 + at}
        for number, at, mid in ((3, 1, 1.0), (6, 2, None), (7, 3, 1.0))
    ]  # fmt: skip


def test_earlier_decisions_are_read_as_they_are_recalled(tmp_path):
    markouts = Markouts(tmp_path, keep=True)
    left = (decision(number, number) for number in range(100))
    markouts.restore(left, 100)
    markouts.recall(49)
    assert len(markouts._symbols["B"].queues[-1]) == 50
    assert len(list(left)) == 49
    markouts.close()


def test_a_failing_file_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    markouts = Markouts(tmp_path / "file")
    markouts.track("i1", "B", Side.BUY, 0, 1.0)
    markouts.close()
    assert "cannot be written" in markouts.error
    assert markouts.lost == 1


def expected(decided: list[int], mids: list[int], horizon: int) -> list[float | None]:
    """The definition, spelled out: the first mid at or after the horizon, unless later than twice of it."""
    found = []
    for at in decided:
        first = next((t for t in mids if t >= at + horizon), None)
        found.append(float(first) if first is not None and first <= at + 2 * horizon else None)
    return found


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60))
def test_any_order_of_decisions_and_mids_agrees_with_the_definition(tmp_path_factory, steps):
    out = tmp_path_factory.mktemp("m")
    markouts = Markouts(out, (5, 20))
    now, decided, mids = 1, [], []
    for ahead, is_decision in steps:
        now += ahead
        if is_decision:
            markouts.track(f"{len(decided):03d}", "B", Side.BUY, now, 1.0)
            decided.append((now, len(mids)))
        else:
            markouts.advance(now, "B", float(now))
            mids.append(now)
    markouts.close()
    found = sorted(rows(out), key=lambda row: row["id"])
    for row, (at, seen) in zip(found, decided, strict=True):
        for name, horizon in (("mid_5e-09s", 5), ("mid_2e-08s", 20)):
            assert [row[name]] == expected([at], mids[seen:], horizon)
