"""The states of an order: legal moves, and the same end whatever the order in which messages arrive."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder.journal.orders import EVIDENCE, TRANSITIONS, OrderEvent, next_state
from grinder.types import OrderState

S, E = OrderState, OrderEvent
QTY = Decimal(4)


def play(messages, qty=QTY):
    """State and filled quantity after messages; a Decimal is a fill of that size."""
    state, filled = S.INTENT, Decimal(0)
    for message in messages:
        event = message
        if isinstance(message, Decimal):
            filled, event = filled + message, E.FILL
        state = next_state(state, filled, qty, event)
    return state, filled


@pytest.mark.parametrize(
    ("messages", "end"),
    [
        ([E.SENT], S.SENT),
        ([E.SENT, E.ACCEPTED], S.OPEN),
        ([E.SENT, E.UNKNOWN, E.ACCEPTED], S.OPEN),
        ([E.SENT, E.ACCEPTED, E.UNKNOWN], S.OPEN),
        ([E.SENT, E.UNKNOWN, E.REJECTED], S.REJECTED),
        ([E.SENT, E.UNKNOWN, E.ABSENT], S.ABSENT),
        ([E.SENT, Decimal(1), E.ACCEPTED], S.PARTIAL),
        ([E.SENT, Decimal(4), E.ACCEPTED], S.FILLED),
        ([E.SENT, Decimal(3), Decimal(1), E.CANCELLED], S.FILLED),
        ([E.SENT, E.ACCEPTED, E.CANCELLED, Decimal(1)], S.CANCELLED),
        ([E.SENT, E.ACCEPTED, E.CANCELLED, Decimal(4)], S.FILLED),
        ([E.SENT, E.ACCEPTED, E.EXPIRED, E.ACCEPTED], S.EXPIRED),
        ([E.SENT, E.ACCEPTED, E.REJECTED, E.ACCEPTED], S.REJECTED),
        ([E.SENT, Decimal(1), E.REJECTED], S.PARTIAL),
        ([E.SENT, E.REJECTED, Decimal(1)], S.PARTIAL),
        ([E.SENT, E.UNKNOWN, E.ABSENT, Decimal(1)], S.PARTIAL),
        ([E.SENT, E.UNKNOWN, E.ABSENT, Decimal(4)], S.FILLED),
        ([E.SENT, E.ACCEPTED, E.ABSENT], S.OPEN),
        ([E.SENT, E.UNKNOWN, E.ABSENT, E.ACCEPTED], S.OPEN),
        ([E.SENT, E.UNKNOWN, E.ABSENT, E.CANCELLED], S.CANCELLED),
    ],
)
def test_stories(messages, end):
    assert play(messages)[0] is end


@pytest.mark.parametrize("state", [S.FILLED, S.CANCELLED, S.EXPIRED, S.REJECTED])
@pytest.mark.parametrize("event", list(E))
def test_final_states_stay_but_for_fills(state, event):
    filled = QTY if state is S.FILLED else Decimal(0)
    after = next_state(state, filled, QTY, event)
    assert after is (S.PARTIAL if (state, event) == (S.REJECTED, E.FILL) else state)


@pytest.mark.parametrize(("state", "event"), list(product(S, E)))
def test_fills_up_to_the_quantity_fill_any_order(state, event):
    assert next_state(state, QTY, QTY, event) is S.FILLED
    assert next_state(state, QTY + 1, QTY, event) is S.FILLED


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("event", list(E))
def test_an_order_is_not_filled_by_hearsay(state, event):
    if state is not S.FILLED:
        assert next_state(state, Decimal(3), QTY, event) is not S.FILLED
        assert next_state(state, Decimal(0), Decimal(0), event) is not S.FILLED


def test_every_state_has_its_row():
    assert set(TRANSITIONS) == set(S)


def test_evidence_of_a_venue_state_leads_to_it():
    for told in (S.OPEN, S.CANCELLED, S.EXPIRED, S.REJECTED):
        assert play([E.SENT, E.UNKNOWN, EVIDENCE[told]])[0] is told
    assert play([E.SENT, E.UNKNOWN, Decimal(1), EVIDENCE[S.PARTIAL]])[0] is S.PARTIAL
    # The venue says that it is filled, one fill is missing: it stays open at its worst case until the fill comes.
    assert play([E.SENT, E.UNKNOWN, Decimal(3), EVIDENCE[S.FILLED]])[0] is S.PARTIAL


# What a venue can truly say of one order, without order: acceptance, fills and at most one end.
LIVES = [
    [E.ACCEPTED],
    [E.ACCEPTED, Decimal(1)],
    [E.ACCEPTED, Decimal(1), Decimal(3)],
    [E.ACCEPTED, E.CANCELLED],
    [E.ACCEPTED, Decimal(1), E.CANCELLED],
    [E.ACCEPTED, Decimal(1), E.EXPIRED],
    [E.ACCEPTED, Decimal(1), Decimal(3), E.CANCELLED],
    [E.REJECTED],
    [E.ACCEPTED, E.REJECTED],
]


@pytest.mark.parametrize("life", LIVES)
def test_arrival_in_any_order_ends_alike(life):
    doubts = [E.SENT, E.UNKNOWN, E.ABSENT]
    ends = {play(order)[0] for order in permutations(life + doubts)}
    assert ends == {play([E.SENT, *life])[0]}


@settings(deadline=None, max_examples=300)
@given(data=st.data(), life=st.sampled_from(LIVES))
def test_duplicates_and_disorder_end_alike(data, life):
    twice = [message for message in life if not isinstance(message, Decimal)]
    extra = data.draw(st.lists(st.sampled_from([*twice, E.SENT, E.UNKNOWN, E.ABSENT]), max_size=6))
    order = data.draw(st.permutations(life + extra))
    assert play(order) == play([E.SENT, *life])
