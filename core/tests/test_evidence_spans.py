from __future__ import annotations

from collections import Counter

from hypothesis import example, given
from hypothesis import strategies as st

from grinder.evidence.spans import KEYS, Spans

LIMIT = 8
SECOND = 10**9


def directly(times: list[int], gap: int) -> list[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = []
    for ts in times:
        if found and ts - found[-1][1] <= gap:
            found[-1] = (found[-1][0], ts, found[-1][2] + 1)
        else:
            found.append((ts, ts, 1))
    return found


@example([*(n * SECOND for n in range(LIMIT + 1)), (LIMIT + 3) * SECOND], 0)
@given(st.lists(st.integers(0, 10_000 * SECOND), min_size=1, max_size=200).map(sorted), st.integers(0, 100 * SECOND))
def test_merged_at_a_gap_it_is_as_if_every_time_were_kept(times, more):
    """For any gap from twice the whole time divided by the limit on."""
    spans = Spans(LIMIT)
    for ts in times:
        spans.add(ts, "A", str(ts))
        assert len(spans._spans) <= LIMIT
    gap = max(2 * (times[-1] - times[0]) // LIMIT, 1_000_000) + more
    assert [(span.start, span.end, span.count) for span in spans.merged(gap)] == directly(times, gap)


@given(st.lists(st.tuples(st.integers(0, SECOND), st.text(max_size=2)), max_size=100))
def test_every_thing_is_counted_once_whatever_comes_in_whatever_order(things):
    spans = Spans(LIMIT)
    for ts, key in things:
        spans.add(ts, key, key)
    counts = sum((span.by_key for span in spans.merged(0)), Counter())
    assert counts.total() == len(things)
    assert all(len(span.by_key) <= KEYS + 1 for span in spans.merged(SECOND))
