"""Orders whose fate is not known: when they are asked about, and what proves that the venue never had one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from grinder.engine.doubts import NEVER, Doubts

LAG = 5_000
START = 1_000_000


def test_it_asks_at_once_and_then_every_lag():
    doubts = Doubts(LAG)
    assert doubts.due_ns == NEVER
    doubts.add("c", "BTCUSDT", START)
    assert doubts.due_ns == START
    assert doubts.due(START - 1) == []
    assert doubts.due(START) == [("c", "BTCUSDT")]
    assert doubts.due_ns == START + LAG
    assert doubts.due(START + LAG - 1) == []
    assert doubts.due(START + LAG) == [("c", "BTCUSDT")]


def test_one_answer_proves_nothing_and_a_second_question_a_lag_later_does():
    doubts = Doubts(LAG)
    doubts.add("c", "BTCUSDT", START)
    doubts.due(START)
    assert not doubts.absent("c", START + 100)
    assert doubts.due_ns == START + 100 + LAG
    assert doubts.due(START + 100 + LAG) == [("c", "BTCUSDT")]
    assert doubts.absent("c", START + 100 + LAG)


def test_the_same_answer_again_or_one_that_was_slow_proves_nothing():
    doubts = Doubts(LAG)
    doubts.add("c", "BTCUSDT", START)
    doubts.due(START)
    assert not doubts.absent("c", START + 100)
    assert not doubts.absent("c", START + 101)
    assert not doubts.absent("c", START + 100 * LAG)


def test_time_zero_is_a_time_like_any_other():
    doubts = Doubts(LAG)
    doubts.add("c", "BTCUSDT", 0)
    doubts.due(0)
    assert not doubts.absent("c", 0)
    doubts.due(LAG)
    assert doubts.absent("c", LAG)


def test_a_failed_question_proves_nothing_and_is_asked_again():
    doubts = Doubts(LAG)
    doubts.add("c", "BTCUSDT", START)
    now = START
    for _ in range(5):
        assert doubts.due(now) == [("c", "BTCUSDT")]
        doubts.failed("c", now + 10)
        assert doubts.due_ns == now + 10 + LAG
        now = doubts.due_ns
    doubts.due(now)
    assert not doubts.absent("c", now)
    doubts.failed("c", now + 20)
    doubts.due(now + 20 + LAG)
    assert doubts.absent("c", now + 20 + LAG), "what was learnt before the failure stays"


def test_doubts_are_independent_and_settled_ones_are_forgotten():
    doubts = Doubts(LAG)
    doubts.add("a", "BTCUSDT", START)
    doubts.add("b", "ETHUSDT", START + 1)
    doubts.due(START)
    assert not doubts.absent("a", START)
    assert doubts.due(START + 1) == [("b", "ETHUSDT")]
    assert not doubts.absent("b", START + 1)
    doubts.settled("a")
    assert len(doubts) == 1
    assert doubts.due_ns == START + 1 + LAG
    doubts.add("a", "BTCUSDT", START + LAG)
    doubts.due(START + LAG)
    assert not doubts.absent("a", START + LAG), "a new doubt needs both answers anew"
    doubts.settled("a")
    doubts.settled("b")
    assert (len(doubts), doubts.due_ns) == (0, NEVER)


def test_adding_again_keeps_the_times():
    doubts = Doubts(LAG)
    doubts.add("c", "BTCUSDT", START)
    doubts.due(START)
    doubts.absent("c", START)
    doubts.add("c", "BTCUSDT", START + 1)
    assert doubts.due_ns == START + LAG
    doubts.due(START + LAG)
    assert doubts.absent("c", START + LAG)


def test_an_order_that_is_not_in_doubt_is_never_absent():
    doubts = Doubts(LAG)
    assert not doubts.absent("c", START)
    doubts.failed("c", START)
    doubts.settled("c")
    assert doubts.due_ns == NEVER


STEP = st.sampled_from(("ask", "absent", "absent", "failed", "add", "settled"))


@given(st.lists(st.tuples(st.integers(0, 2 * LAG), STEP, st.sampled_from(("a", "b"))), max_size=60))
@settings(deadline=None, max_examples=300)
def test_absence_always_rests_on_two_answers_and_a_question_a_lag_after_the_first(steps):
    """Whatever arrives when: answers late, twice, out of order, failures and settlements between."""
    doubts = Doubts(LAG)
    first: dict[str, int | None] = {}
    asked: dict[str, int] = {}
    now = START
    for wait, step, client_id in steps:
        now += wait
        if step == "ask":
            due_ns = doubts.due_ns
            found = doubts.due(now)
            assert bool(found) is (due_ns <= now)
            asked.update(dict.fromkeys((name for name, _ in found), now))
        elif step == "absent":
            proven = doubts.absent(client_id, now)
            begun = first.get(client_id)
            assert proven is (begun is not None and asked.get(client_id, 0) >= begun + LAG)
            if client_id in first and begun is None:
                first[client_id] = now
        elif step == "failed":
            doubts.failed(client_id, now)
        elif step == "add":
            doubts.add(client_id, "BTCUSDT", now)
            first.setdefault(client_id, None)
        else:
            doubts.settled(client_id)
            first.pop(client_id, None)
            asked.pop(client_id, None)
        assert len(doubts) == len(first)
        assert (doubts.due_ns == NEVER) is (not first)
