"""The book: sequence rules, the ladder against a naive reference, price keys."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder.market import book as book_module
from grinder.market.book import Book
from grinder.market.ladder import Ladder
from grinder.types import BookDelta, BookSnapshot, Side


def snapshot(last_id, bids=(("100.0", "1"),), asks=(("101.0", "2"),)):
    return BookSnapshot("BTCUSDT", 0, 0, last_id, list(bids), list(asks))


def delta(first_id, last_id, prev_id, bids=(), asks=()):
    return BookDelta("BTCUSDT", 0, 0, first_id, last_id, prev_id, list(bids), list(asks))


def synced(last_id=100):
    book = Book()
    book.apply_snapshot(snapshot(last_id))
    book.apply_delta(delta(last_id, last_id + 1, last_id - 1))
    return book


def test_diffs_before_the_snapshot_are_held_back_and_the_old_ones_dropped():
    book = Book()
    book.apply_delta(delta(80, 90, 79, bids=[("99.0", "9")]))
    book.apply_delta(delta(91, 99, 90, bids=[("98.0", "9")]))
    book.apply_delta(delta(100, 105, 99, bids=[("97.0", "9")]))
    assert not book.ready
    assert book.top(Side.BUY, 5) == ()
    book.apply_snapshot(snapshot(102))
    assert book.ready
    assert not book.gap
    assert book.last_id == 105
    assert book.top(Side.BUY, 5) == ((100.0, 1.0), (97.0, 9.0))


def test_a_diff_that_ends_at_the_snapshot_is_used():
    book = Book()
    book.apply_snapshot(snapshot(102))
    book.apply_delta(delta(100, 102, 99, bids=[("97.0", "9")]))
    book.apply_delta(delta(103, 104, 102, bids=[("96.0", "8")]))
    assert not book.gap
    assert book.top(Side.BUY, 5) == ((100.0, 1.0), (97.0, 9.0), (96.0, 8.0))


@pytest.mark.parametrize(
    ("first", "last", "prev", "gap"), [(101, 105, 100, False), (103, 105, 102, False), (104, 105, 103, True)]
)
def test_the_first_diff_must_reach_the_snapshot(first, last, prev, gap):
    book = Book()
    book.apply_snapshot(snapshot(102))
    book.apply_delta(delta(first, last, prev))
    assert book.gap is gap
    assert book.gaps == gap


def test_a_break_is_a_gap_until_a_snapshot_that_the_later_diffs_reach():
    book = synced(100)
    book.apply_delta(delta(110, 111, 109, bids=[("99.5", "3")]))
    assert book.gap
    assert book.gaps == 1
    book.apply_delta(delta(112, 113, 111))
    assert book.gap
    assert book.gaps == 1
    book.apply_snapshot(snapshot(112, bids=[("90.0", "1")]))
    assert not book.gap
    assert book.last_id == 113
    book.apply_delta(delta(114, 115, 113))
    assert not book.gap
    assert book.top(Side.BUY, 5) == ((90.0, 1.0),)


def test_diffs_in_a_gap_are_still_applied():
    book = synced(100)
    book.apply_delta(delta(110, 111, 109, bids=[("99.5", "3")]))
    assert book.qty_at(Side.BUY, "99.5") == 3.0


def test_a_snapshot_too_old_for_the_diffs_leaves_a_gap():
    book = synced(100)
    book.apply_delta(delta(110, 111, 109))
    book.apply_snapshot(snapshot(105))
    assert book.gap


def test_a_doubled_diff_breaks_the_chain():
    book = synced(100)
    book.apply_delta(delta(102, 103, 101))
    book.apply_delta(delta(102, 103, 101))
    assert book.gap


def test_a_snapshot_that_the_book_contains_is_ignored():
    book = synced(100)
    book.apply_delta(delta(102, 110, 101, bids=[("99.0", "5")]))
    book.apply_snapshot(snapshot(105, bids=[("1.0", "1")]))
    assert book.top(Side.BUY, 1) == ((100.0, 1.0),)
    assert book.last_id == 110


def test_an_interruption_is_a_gap_until_a_new_snapshot():
    book = synced(100)
    book.break_sequence()
    assert book.gap
    book.apply_snapshot(snapshot(200))
    assert not book.gap


@pytest.mark.parametrize(
    ("first", "last", "gap", "applied"),
    [(99, 100, False, False), (99, 101, False, True), (101, 103, False, True), (102, 103, True, True)],
)
def test_spot_first_diff(first, last, gap, applied):
    book = Book()
    book.apply_snapshot(snapshot(100))
    book.apply_delta(delta(first, last, -1, bids=[("99.0", "7")]))
    assert book.gap is gap
    assert (book.qty_at(Side.BUY, "99.0") == 7.0) is applied


@pytest.mark.parametrize(("first", "gap"), [(104, False), (103, True), (105, True)])
def test_spot_diffs_follow_one_another(first, gap):
    book = Book()
    book.apply_snapshot(snapshot(100))
    book.apply_delta(delta(99, 103, -1))
    book.apply_delta(delta(first, 106, -1))
    assert book.gap is gap


def test_too_many_waiting_diffs_drop_the_oldest_and_are_counted(monkeypatch):
    monkeypatch.setattr(book_module, "BUFFER", 3)
    book = Book()
    for at in range(5):
        book.apply_delta(delta(at, at, at - 1))
    assert book.dropped == 2
    book.apply_snapshot(snapshot(0))
    assert book.gap


def test_keys_have_as_many_decimals_as_the_feed_writes():
    book = Book()
    assert book.key(Decimal("61800.2")) == "61800.2"
    book.apply_snapshot(snapshot(1, bids=[("61800.20", "1")], asks=[]))
    assert book.key(Decimal("61800.2")) == "61800.20"
    assert book.key(Decimal(61800)) == "61800.00"
    assert book.qty_at(Side.BUY, book.key(Decimal("61800.2"))) == 1.0
    whole = Book()
    whole.apply_snapshot(snapshot(1, bids=[], asks=[("7", "1")]))
    assert whole.key(Decimal("7.0")) == "7"


def test_prices_may_change_their_length():
    book = Book()
    book.apply_snapshot(snapshot(1, bids=[("99999.9", "1"), ("99999.8", "1")], asks=[("100000.1", "1")]))
    assert book.top(Side.BUY, 1) == ((99999.9, 1.0),)
    book.apply_delta(delta(1, 2, 0, bids=[("100000.0", "4")], asks=[("99999.9", "0")]))
    assert book.top(Side.BUY, 2) == ((100000.0, 4.0), (99999.9, 1.0))
    book.apply_delta(delta(3, 4, 2, bids=[("100000.0", "0")]))
    assert book.top(Side.BUY, 3) == ((99999.9, 1.0), (99999.8, 1.0))


@pytest.mark.parametrize(
    "bad", [("abc", "1"), ("nan", "1"), ("inf", "1"), ("100.5", "abc"), ("100.5", "nan"), ("100.5", "-1")]
)
def test_a_level_that_is_no_number_is_a_gap_and_not_a_level(bad):
    book = synced(100)
    assert book.top(Side.BUY, 9) == ((100.0, 1.0),)
    book.apply_delta(delta(102, 103, 101, bids=[bad, ("99.0", "2")]))
    assert book.top(Side.BUY, 9) == ((100.0, 1.0), (99.0, 2.0))
    assert book.gap
    assert book.qty_at(Side.BUY, bad[0]) == 0.0


def test_one_price_written_two_ways_is_one_level():
    book = synced(100)
    book.apply_delta(delta(102, 103, 101, bids=[("100.00", "5")]))
    assert book.top(Side.BUY, 9) == ((100.0, 5.0),)
    book.apply_delta(delta(104, 105, 103, bids=[("100.00", "0")]))
    assert book.top(Side.BUY, 9) == ()


TICKS = st.integers(min_value=9_980, max_value=10_020)
LEVELS = st.lists(st.tuples(TICKS, st.integers(min_value=0, max_value=3)), max_size=40)
STEPS = st.lists(st.tuples(LEVELS, st.integers(min_value=0, max_value=30)), max_size=30)


def written(levels):
    # Around 1000.0 prices have 5 and 6 characters.
    return [(f"{tick / 10:.1f}", f"{qty}.000") for tick, qty in levels]


@settings(deadline=None, max_examples=200)
@given(start=LEVELS, steps=STEPS, side=st.sampled_from(Side))
def test_the_ladder_is_the_naive_book(start, steps, side):
    ladder = Ladder(side)
    ladder.replace(written(start))
    naive = dict(start)
    for levels, count in steps:
        ladder.update(written(levels))
        naive.update(levels)
        if count:
            best = sorted((t for t, q in naive.items() if q), reverse=side is Side.BUY)[:count]
            assert ladder.top(count) == tuple((float(f"{t / 10:.1f}"), float(naive[t])) for t in best)
    for tick in range(9_980, 10_021):
        assert ladder.quantity(f"{tick / 10:.1f}") == naive.get(tick, 0)
    assert ladder.unreadable == 0


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(min_value=0), side=st.sampled_from(Side))
def test_removed_levels_are_purged_and_do_not_come_back(seed, side):
    random = Random(seed)
    ladder = Ladder(side)
    naive = {}
    for _ in range(12):
        base = random.randrange(10_000, 90_000)
        levels = [(base + at, random.randrange(3)) for at in range(700)]
        gone = [(tick, 0) for tick in random.sample(sorted(naive), len(naive) // 2)]
        ladder.update(written(levels + gone))
        naive.update(levels + gone)
        if random.random() < 0.5:
            best = sorted((t for t, q in naive.items() if q), reverse=side is Side.BUY)[:50]
            assert [price for price, _ in ladder.top(50)] == [float(f"{t / 10:.1f}") for t in best]
    live = sum(1 for qty in naive.values() if qty)
    assert len(ladder.quantities) <= 2 * live + 2_400
    assert len(ladder.top(10**6)) == live
