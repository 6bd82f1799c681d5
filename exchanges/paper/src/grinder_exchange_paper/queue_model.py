"""Where a resting order stands in the queue at its price.

Recordings tell how much is displayed at a price and what was traded there, not who left the queue. A queue model
says how far a smaller display moves an order forward; prints at its price always take what is in front first.
Feeds send a print and the display that already contains it in either order, so a print that is not newer than the
display which moved us first uses up what that display has already counted.
"""

from __future__ import annotations

from typing import Final, Protocol

from grinder import BookDelta, BookSnapshot, TopOfBook
from grinder_exchange_paper.orders import UNSEEN, Order

UNKNOWN: Final = -1
"""Lots displayed at a price that no display has shown since an order joined there."""
ROUNDING: Final = 1e-9
"""Whole lots stay whole through estimates in floating point."""


class QueueModel(Protocol):
    """How a display moves an order.

    Attributes:
        heeds_all: whether a display matters that leaves as much as is in front of the order.
    """

    heeds_all: bool

    def shown(self, order: Order, before: int, displayed: int, at_ns: int) -> None:
        """So many lots are displayed at its price, after ``before`` (-1 when that is not known)."""
        ...


class RiskAverse:
    """Nobody behind us ever leaves first: only a display smaller than what is in front moves us."""

    heeds_all: bool = False

    def shown(self, order: Order, before: int, displayed: int, at_ns: int) -> None:  # noqa: ARG002 - see QueueModel
        """Fewer lots are displayed than were in front."""
        if displayed < order.ahead:
            move(order, displayed, at_ns)


class Power:
    """Who leaves is drawn from the whole queue, rather from where most of it is.

    Of what leaves without a trade, the share ``back ** n / (back ** n + front ** n)`` was behind us.

    Args:
        n: 1 takes from front and back in proportion, more takes the longer part more often.
    """

    heeds_all: bool = True

    def __init__(self, n: float) -> None:
        self._n = n

    def shown(self, order: Order, before: int, displayed: int, at_ns: int) -> None:
        """The display grew or shrank."""
        front = order.ahead
        traded, order.traded = order.traded, 0
        left = before - displayed - traded
        if front >= UNSEEN or before < 0 or left <= 0:
            if displayed < front:
                move(order, displayed, at_ns)
            return
        back = max(before - front, 0)
        behind = self._share(front, back)
        # What would have left from behind beyond what is there left from the front.
        ahead = front - (1 - behind) * left + min(back - behind * left, 0.0)
        move(order, max(0, min(ahead, displayed)), at_ns)

    def _share(self, front: float, back: float) -> float:
        longest = max(front, back)
        if not longest:
            return 1.0
        # Of the longer part, so that no power overflows.
        weight_back: float = (back / longest) ** self._n
        weight_front: float = (front / longest) ** self._n
        return weight_back / (weight_back + weight_front)


def join(order: Order, displayed: int, display: TopOfBook | BookDelta | BookSnapshot | None) -> None:
    """The order joins the back of the queue.

    Args:
        order: the order.
        displayed: lots displayed at its price; ``UNSEEN`` where they are not known.
        display: what that is known from.
    """
    order.ahead = displayed
    order.shown_ns = order.joined_ns = order.joined_id = order.traded = 0
    order.credit = 0
    if display is not None:
        order.joined_ns = display.exchange_ns
        order.joined_id = display.update_id if isinstance(display, TopOfBook) else display.last_id


def move(order: Order, ahead: float, at_ns: int) -> None:
    """A display of that exchange time leaves fewer lots in front of the order."""
    if order.ahead >= UNSEEN:
        order.joined_ns = at_ns
    else:
        order.credit += order.ahead - ahead
    order.ahead = ahead
    order.shown_ns = at_ns


def printed(order: Order, lots: int, at_ns: int) -> int:
    """How many lots of a print at its price reach the order; what was ahead of it goes first."""
    if 0 < at_ns <= order.joined_ns or order.ahead >= UNSEEN:
        return 0
    rest: float = lots
    if 0 < at_ns <= order.shown_ns:
        counted = min(lots, order.credit)
        order.credit -= counted
        rest -= counted
    else:
        order.credit = 0
        order.traded += lots
    reach = rest - order.ahead
    if reach > 0:
        order.ahead = 0
        return int(reach + ROUNDING)
    order.ahead -= rest
    return 0


def traded_through(order: Order, lots: int, at_ns: int) -> int:
    """How many lots of a print at a price worse for the taker than ours reach the order: nothing was left ahead."""
    if 0 < at_ns <= order.joined_ns:
        return 0
    order.ahead = 0
    return lots
