"""Decimal arithmetic that no plugin can bend: the context is the thread's, and plugins run in the same thread."""

from __future__ import annotations

from decimal import Context, getcontext, setcontext
from typing import Final

PLAIN: Final = Context(prec=28)
EXACT: Final = Context(prec=200)
"""Wide enough for sums of what the ledger keeps, so that nothing is rounded before the end."""


def plain_arithmetic() -> None:
    """Undo what a plugin that has just been called may have done: money must not depend on it."""
    context = getcontext()
    if context.prec != PLAIN.prec or context.rounding != PLAIN.rounding:
        setcontext(PLAIN.copy())
