"""The life of one order, as a pure function that any order of arrival leads to the same end.

Messages about an order come twice, late, and out of order: a fill before the acceptance, an acceptance after the
last fill, a cancel that crosses a fill. ``next_state`` answers with the state after one more message:

==========================  =========  ========  =========  =========  =========  =======  =======
state, and a message of     SENT       UNKNOWN   ACCEPTED   REJECTED   CANCELLED  ABSENT   FILL
                                                                       / EXPIRED
==========================  =========  ========  =========  =========  =========  =======  =======
INTENT                      SENT       UNKNOWN   OPEN       REJECTED   CANCELLED  ABSENT   PARTIAL
SENT                        ·          UNKNOWN   OPEN       REJECTED   CANCELLED  ABSENT   PARTIAL
UNKNOWN                     ·          ·         OPEN       REJECTED   CANCELLED  ABSENT   PARTIAL
OPEN                        ·          ·         ·          REJECTED   CANCELLED  ·        PARTIAL
PARTIAL                     ·          ·         ·          ·          CANCELLED  ·        ·
CANCELLED, EXPIRED, FILLED  ·          ·         ·          ·          ·          ·        ·
REJECTED                    ·          ·         ·          ·          ·          ·        PARTIAL
ABSENT                      ·          ·         OPEN       REJECTED   CANCELLED  ·        PARTIAL
==========================  =========  ========  =========  =========  =========  =======  =======

(A dot leaves the state as it is; EXPIRED goes where CANCELLED goes.) Besides, an order whose fills reach its quantity
is FILLED, whatever it was and whatever else is said of it.

The reasons. FILLED comes from fills alone: a venue that says "filled" while a fill is still missing leaves the
order open, at its worst case, until the fill is here. REJECTED gives way to fills only: they prove the rejection
wrong. ABSENT is a conclusion from silence, so any answer from the venue overrules it. An accepted order cannot turn
out never to have existed, so OPEN and PARTIAL ignore ABSENT.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from grinder.types import OrderState


class OrderEvent(enum.StrEnum):
    """What a message says about an order. An amendment that the venue confirmed counts as ACCEPTED."""

    SENT = "SENT"
    UNKNOWN = "UNKNOWN"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    ABSENT = "ABSENT"
    FILL = "FILL"


_S = OrderState
_E = OrderEvent
_UNANSWERED: Final[Mapping[OrderEvent, OrderState]] = {
    _E.UNKNOWN: _S.UNKNOWN,
    _E.ACCEPTED: _S.OPEN,
    _E.REJECTED: _S.REJECTED,
    _E.CANCELLED: _S.CANCELLED,
    _E.EXPIRED: _S.EXPIRED,
    _E.ABSENT: _S.ABSENT,
    _E.FILL: _S.PARTIAL,
}
_ENDED: Final[Mapping[OrderEvent, OrderState]] = {_E.CANCELLED: _S.CANCELLED, _E.EXPIRED: _S.EXPIRED}

TRANSITIONS: Final[Mapping[OrderState, Mapping[OrderEvent, OrderState]]] = {
    _S.INTENT: {_E.SENT: _S.SENT, **_UNANSWERED},
    _S.SENT: _UNANSWERED,
    _S.UNKNOWN: _UNANSWERED,
    _S.OPEN: {_E.REJECTED: _S.REJECTED, _E.FILL: _S.PARTIAL, **_ENDED},
    _S.PARTIAL: _ENDED,
    _S.REJECTED: {_E.FILL: _S.PARTIAL},
    _S.ABSENT: {_E.ACCEPTED: _S.OPEN, _E.REJECTED: _S.REJECTED, _E.FILL: _S.PARTIAL, **_ENDED},
    _S.FILLED: {},
    _S.CANCELLED: {},
    _S.EXPIRED: {},
}
"""The table above; what is not in it leaves the state as it is."""

EVIDENCE: Final[Mapping[OrderState, OrderEvent]] = {
    _S.OPEN: _E.ACCEPTED,
    _S.PARTIAL: _E.ACCEPTED,
    _S.FILLED: _E.ACCEPTED,
    _S.CANCELLED: _E.CANCELLED,
    _S.EXPIRED: _E.EXPIRED,
    _S.REJECTED: _E.REJECTED,
}
"""What a venue's own state of an order (``Found.state``) says; others say nothing."""


def next_state(state: OrderState, filled: Decimal, qty: Decimal, event: OrderEvent) -> OrderState:
    """The state of an order after one more message.

    Args:
        state: the state before.
        filled: quantity filled so far, this message's included (base units).
        qty: quantity of the order, as last amended (base units).
        event: what the message says.
    """
    if filled >= qty > 0:
        return OrderState.FILLED
    return TRANSITIONS[state].get(event, state)
