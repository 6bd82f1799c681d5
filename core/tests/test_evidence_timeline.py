from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grinder.evidence.timeline import (
    FEWEST,
    ROWS,
    SAMPLES,
    TIMELINE,
    Sample,
    SymbolSample,
    Timeline,
    decode_sample,
    interval_ns,
)

SECOND = 10**9


@given(st.integers(1, 3650 * 86_400 * SECOND), st.integers(1, 2000))
def test_the_interval_bounds_samples_and_rows(span, symbols):
    every = interval_ns(span, symbols)
    samples = span // every
    assert samples <= SAMPLES
    assert samples * symbols <= max(ROWS, FEWEST * symbols)
    assert every % (SECOND // 10) == 0


@pytest.mark.parametrize(("seconds", "every"), [(1, 0.1), (345, 1), (600, 2), (3600, 10), (86_400, 300)])
def test_the_interval_is_a_round_one(seconds, every):
    assert interval_ns(seconds * SECOND, 2) == every * SECOND


def test_a_run_without_length_has_an_interval():
    assert interval_ns(0, 0) > 0


def samples(tmp_path) -> list[Sample]:
    return [decode_sample(line) for line in (tmp_path / TIMELINE).read_bytes().splitlines()]


def test_a_run_that_is_longer_than_it_seemed_leaves_few_samples(tmp_path):
    timeline = Timeline(tmp_path, SECOND)
    now = 0
    for _ in range(4 * SAMPLES):
        now += timeline.every_ns
        timeline.add(Sample(ts_ns=now))
    timeline.close()
    assert timeline.every_ns == 8 * SECOND
    assert len(samples(tmp_path)) == 4 * SAMPLES
    assert now > 10 * SAMPLES * SECOND


def test_what_is_written_is_read(tmp_path):
    held = SymbolSample(qty=Decimal("-0.153"), mid=60973.85, gaps=1, silence_ms=12, fault="MARKET_STALE")
    sample = Sample(ts_ns=5, equity=Decimal("9.5"), net=Decimal("-.5"), parts={"fees": Decimal("-.5")}, working=2,
                    symbols={"A": held, "B": SymbolSample()})  # fmt: skip
    timeline = Timeline(tmp_path, SECOND)
    timeline.add(sample)
    assert samples(tmp_path) == [sample], "at once"
    timeline.close()
    assert not timeline.error


def test_a_resumed_run_keeps_what_was_traded_and_drops_the_rest(tmp_path):
    first = Timeline(tmp_path, SECOND)
    for n in range(10):
        first.add(Sample(ts_ns=n))
    path = tmp_path / TIMELINE
    path.write_bytes(b"garbage\n[]\n" + path.read_bytes() + b'{"ts_ns":3')
    again = Timeline(tmp_path, SECOND, keep=True)
    again.restore(6)
    again.add(Sample(ts_ns=7, working=1))
    again.close()
    assert [(s.ts_ns, s.working) for s in samples(tmp_path)] == [*((n, 0) for n in range(7)), (7, 1)]


def test_a_run_that_starts_afresh_replaces_the_file(tmp_path):
    for n in range(2):
        timeline = Timeline(tmp_path, SECOND)
        timeline.add(Sample(ts_ns=n))
        timeline.close()
    assert [s.ts_ns for s in samples(tmp_path)] == [1]


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path):
    (tmp_path / TIMELINE).mkdir()
    timeline = Timeline(tmp_path, SECOND)
    timeline.add(Sample(ts_ns=1))
    timeline.close()
    assert "cannot be written" in timeline.error


def test_a_sample_of_something_else_is_refused():
    for line in (b"", b"1", b"{}", b'{"ts_ns":"x"}', b'{"ts_ns":1,"symbols":{"A":1}}'):
        with pytest.raises(msgspec.DecodeError):
            decode_sample(line)
