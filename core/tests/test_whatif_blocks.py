"""Standard errors of moves that overlap, and the bits that are kept of each decision."""

from __future__ import annotations

import random
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grinder.whatif.blocks import MIN_BLOCKS, BlockMean
from grinder.whatif.marks import Marks

S = 1_000_000_000


def estimate(values, block_s=10):
    mean = BlockMean(block_s * S)
    for at_s, value in values:
        mean.add(int(at_s * S), value)
    return mean.estimate()


def test_nothing_seen_says_nothing():
    found = estimate([])
    assert (found.n, found.mean, found.se) == (0, None, None)


def test_too_few_blocks_have_a_mean_and_no_error():
    found = estimate([(t, float(t % 3)) for t in range(10 * (MIN_BLOCKS - 1))])
    assert found.blocks == MIN_BLOCKS - 1
    assert found.mean is not None
    assert found.se is None


def test_one_observation_a_block_is_the_usual_standard_error():
    values = [float(v) for v in (3, 1, 4, 1, 5, 9, 2, 6)]
    found = estimate([(10 * i, v) for i, v in enumerate(values)])
    mean = sum(values) / len(values)
    usual = sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))
    assert found.mean == pytest.approx(mean)
    assert found.se == pytest.approx(usual)


def test_the_same_move_seen_many_times_counts_once():
    draw = random.Random(3)
    moves = [draw.gauss(0, 1) for _ in range(40)]
    once = estimate([(10 * i, move) for i, move in enumerate(moves)])
    often = estimate([(10 * i + k * 0.1, move) for i, move in enumerate(moves) for k in range(50)])
    assert often.n == 50 * once.n
    assert often.se == pytest.approx(once.se)


def test_two_errors_cover_the_truth_where_moves_overlap():
    """Moves over 5 s seen every half second on a random walk without drift: the usual error would cover far less."""
    draw, covered, naive = random.Random(11), 0, 0
    for _ in range(120):
        walk = [0.0]
        for _ in range(2 * 400):
            walk.append(walk[-1] + draw.gauss(0, 1))
        moves = [(t / 2, walk[t + 10] - walk[t]) for t in range(len(walk) - 10)]
        found = estimate(moves)
        values = [value for _, value in moves]
        usual = sqrt(sum((v - found.mean) ** 2 for v in values) / (len(values) - 1) / len(values))
        covered += abs(found.mean) <= 2 * found.se
        naive += abs(found.mean) <= 2 * usual
    assert covered >= 0.85 * 120
    assert naive <= 0.7 * 120


IDS = st.one_of(
    st.integers(min_value=0, max_value=300_000).map("qs4edh-1-{:06d}".format),
    st.integers(min_value=0, max_value=2_000).map("qs4edh-2-{:06d}".format),
    st.sampled_from(
        ["", "-", "x-1", "qs4edh-1-1", "qs4edh-1-0000001", "qs4edh-1--00001", "qs4edh-1-\u0661", "a-" + "9" * 40]
    ),
)


@given(st.lists(st.tuples(IDS, st.sampled_from([1, 2, 4, 8])), max_size=60))
def test_marks_are_a_table_of_bits_by_id(steps):
    marks, table = Marks(), {}
    for known, bits in steps:
        marks.add(known, bits)
        table[known] = table.get(known, 0) | bits
    assert {known: marks.get(known) for known in table} == table
    assert marks.get("qs4edh-3-000001") == marks.get("nobody") == 0


def test_a_million_decisions_take_a_byte_each():
    marks = Marks()
    for number in range(0, 1_000_000, 1000):
        marks.add(f"qs4edh-1-{number:06d}", 1)
    (row,) = marks._numbered.values()
    assert len(row) <= 1_000_000
    assert not marks._others
    for prefix in range(1000):
        marks.add(f"p{prefix}-065535", 1)
    assert len(marks._numbered) <= 64
