"""Start-up after anything: what the journal holds is taken over, and what is not certain is asked for."""

from __future__ import annotations

import msgspec

from grinder.clock import Clock, ManualClock
from grinder.engine.account import UNANSWERED
from grinder.engine.executor import PROGRESS, Executor
from grinder.engine.state import State
from grinder.errors import StateError
from grinder.evidence.recorder import canonical, fill_record, payment_record
from grinder.types import FillCause, OrderState, TradingState


def recover(executor: Executor, state: State, clock: Clock) -> int:
    """Bring the executor to where the journal ends.

    Orders that may have been sent become UNKNOWN, and every working order is asked for: its fills may have been
    missed. Orders with an amendment that may have been sent count at their worst case until the venue has told.
    Records are rewritten from the journal, which is the truth.

    Returns:
        Event time up to which the market has been traded already, ns.

    Raises:
        StateError: the journal's state is not readable.
    """
    recovered = state.recovered
    progress = recovered.state.get(PROGRESS, {})
    try:
        position = int(progress.get("position_ns", 0))
        executor.tally.load(progress or executor.tally.save())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StateError(f"the journal's progress is {progress!r}: not readable; the journal is damaged") from error
    reached = max(position, recovered.last_event_ns)
    if isinstance(clock, ManualClock):
        clock.set(reached)
    executor.path.trading_state, executor.path.symbol_states = _trading(recovered.state.get("trading", {}))
    executor.settlement.books.rebook()
    for order in recovered.orders:
        working = order.open_order()
        if working.state in UNANSWERED:
            working = msgspec.structs.replace(working, state=OrderState.UNKNOWN)
        executor.settlement.adopt(working)
    for amendment in recovered.amendments:
        executor.settlement.changes.adopt(amendment)
    executor.recorder.restore(
        state.journal.decisions(),
        (canonical(fill_record(fill)) for fill in state.journal.fills()),
        (canonical(payment_record(payment)) for payment in state.journal.payments()),
    )
    for record in state.journal.decisions():
        executor.tally.restore(msgspec.json.decode(record))
    for fill in state.journal.fills():
        executor.tally.fills.add("sim", fill.side, fill.maker, fill.price * fill.qty, fill.fee)
        if fill.cause is not FillCause.TRADE:
            executor.tally.venue_closures[fill.cause.value.lower()] += 1
    return max(reached, clock.now_ns())


def _trading(saved: object) -> tuple[TradingState, dict[str, TradingState]]:
    if not isinstance(saved, dict):
        raise StateError(f"the journal's trading states are {saved!r}; the journal is damaged")
    try:
        symbols = {str(symbol): TradingState(value) for symbol, value in saved.get("symbols", {}).items()}
        return TradingState(saved.get("all", "ACTIVE")), symbols
    except (ValueError, AttributeError) as error:
        raise StateError(f"the journal's trading states are not readable: {error}; the journal is damaged") from error
