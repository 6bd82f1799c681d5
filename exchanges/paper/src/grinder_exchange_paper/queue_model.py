"""Where a resting order stands in the queue at its price, judged risk-averse: nobody behind us ever leaves first.

Only what must have been in front of us moves us: a display smaller than what was ahead, and prints at our price.
Feeds send a print and the display that already contains it in either order, so a print that is not newer than the
display which moved us first uses up what that display has already counted.
"""

from __future__ import annotations

from grinder import BookDelta, BookSnapshot, TopOfBook
from grinder_exchange_paper.orders import UNSEEN, Order


def join(order: Order, displayed: int, display: TopOfBook | BookDelta | BookSnapshot | None) -> None:
    """The order joins the back of the queue.

    Args:
        order: the order.
        displayed: lots displayed at its price; ``UNSEEN`` where they are not known.
        display: what that is known from.
    """
    order.ahead = displayed
    order.shown_ns = order.credit = order.joined_ns = order.joined_id = 0
    if display is not None:
        order.joined_ns = display.exchange_ns
        order.joined_id = display.update_id if isinstance(display, TopOfBook) else display.last_id


def shown(order: Order, displayed: int, at_ns: int) -> None:
    """Fewer lots are displayed at its price than were ahead of it."""
    if order.ahead >= UNSEEN:
        order.joined_ns = at_ns
    else:
        order.credit += order.ahead - displayed
    order.ahead = displayed
    order.shown_ns = at_ns


def printed(order: Order, lots: int, at_ns: int) -> int:
    """How many lots of a print at its price reach the order; what was ahead of it goes first."""
    if at_ns < order.joined_ns or order.ahead >= UNSEEN:
        return 0
    if 0 < at_ns <= order.shown_ns:
        counted = min(lots, order.credit)
        order.credit -= counted
        lots -= counted
    else:
        order.credit = 0
    reach = lots - order.ahead
    if reach > 0:
        order.ahead = 0
        return reach
    order.ahead -= lots
    return 0


def traded_through(order: Order, lots: int, at_ns: int) -> int:
    """How many lots of a print at a price worse for the taker than ours reach the order: nothing was left ahead."""
    if at_ns < order.joined_ns:
        return 0
    order.ahead = 0
    return lots
