"""One recorded decision under changed settings, by the same rules as in the engine."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from grinder.decisions import Allow, Answer, GateInfo, Mode, Outcome
from grinder.engine.admission import Admitting, admission, shrunk_again
from grinder.engine.draft import Refusal
from grinder.evidence.explain import DecisionRow, GateRow
from grinder.gates.chain import Evaluation, blocks, combine
from grinder.types import IntentKind, OrderIntent, PositionSide, Side, TimeInForce
from grinder.whatif.gate import GateReview

NOBODY: Final = Evaluation((), (), -1, None)
ALLOWED: Final = Outcome.ALLOWED.value
_STAGES: Final = frozenset(("admission", "shrink"))
_MOST_SYMBOLS: Final = 10_000


class Turn(enum.StrEnum):
    """What becomes of a decision.

    SAME: nothing. REASON: still not sent, for another reason. BLOCKED: was sent and would not be. ALLOWED: was not
    sent and would be. RESIZED: sent both times, at another quantity. SHRUNK: gates would ask for a quantity at which
    they were not asked in the run. UNKNOWN: a gate's answer that it takes was not recorded.
    """

    __hash__ = str.__hash__  # an Enum's own is many times slower, and decisions are counted by it

    SAME = "same"
    REASON = "reason"
    BLOCKED = "blocked"
    ALLOWED = "allowed"
    RESIZED = "resized"
    SHRUNK = "shrunk"
    UNKNOWN = "unknown"


class After(msgspec.Struct, frozen=True, gc=False):
    """A decision as it would have been. What is empty or None cannot be known."""

    turn: Turn
    outcome: str
    reason: str
    by: str
    qty: Decimal | None
    evaluation: Evaluation = NOBODY


class Review:
    """Judges recorded decisions anew.

    Args:
        gates: the gates under the changed settings, in the order in which they are asked.
        first_block: stop at the first gate that blocks.
        policies: whose admission is asked.

    Attributes:
        unasked: decisions in which a gate would be asked that the run, stopped by a block, had not asked.
    """

    def __init__(self, gates: Sequence[GateReview], *, first_block: bool, policies: Admitting) -> None:
        self.gates = tuple(gates)
        self._first_block = first_block
        self._policies = policies
        self.unasked = 0
        self._chains: dict[str, tuple[GateReview, ...]] = {}

    def decide(self, row: DecisionRow) -> After:
        """The decision under the changed settings.

        Raises:
            ValueError: the record holds what no run writes.
        """
        if not row.gates:
            return After(Turn.SAME, row.outcome, row.reason, row.by, row.qty)
        shrunk = row.first_pass
        wanted = row.order.wanted_qty if shrunk else row.qty
        evaluation, complete, sure = self._evaluate(shrunk or row.gates, row.order.symbol, wanted)
        self.unasked += not complete
        if evaluation.blocker >= 0:
            return self._conclude(row, evaluation, wanted) if sure else _blocked_by_somebody(evaluation, wanted)
        if not complete:
            return After(Turn.UNKNOWN, "", "", "", wanted, evaluation)
        if evaluation.shrink is None:
            return self._conclude(row, evaluation, wanted)
        return self._shrunk(row, evaluation)

    def _evaluate(self, rows: Sequence[GateRow], symbol: str, wanted: Decimal | None) -> tuple[Evaluation, bool, bool]:
        """What the gates amount to; whether each gate that the run had was asked; and whether all before a block were.

        Without the last a block is one, but another gate may have been the first.
        """
        chain = self._chains.get(symbol) or self._chain(symbol)
        complete = unanimous = sure = True
        infos: list[GateInfo] = []
        answers: list[Answer] = []
        for place, gate in enumerate(chain):
            row = rows[place] if place < len(rows) else None
            if row is None or row.gate != gate.name:
                row = next((each for each in rows if each.gate == gate.name), None)
            if row is None:
                if gate.in_run(symbol):
                    complete = False
                    sure = sure and (gate.mode(symbol) is not Mode.ENFORCE or combine(infos, answers).blocker >= 0)
                continue
            info, answer = gate.answer(row, symbol, wanted)
            infos.append(info)
            answers.append(answer)
            if type(answer) is Allow:
                continue
            unanimous = False
            if self._first_block and info.mode is Mode.ENFORCE and blocks(answer):
                break
        evaluation = Evaluation(tuple(infos), tuple(answers), -1, None) if unanimous else combine(infos, answers)
        return evaluation, complete, sure

    def _chain(self, symbol: str) -> tuple[GateReview, ...]:
        if len(self._chains) >= _MOST_SYMBOLS:
            self._chains.clear()
        chain = self._chains[symbol] = tuple(gate for gate in self.gates if gate.mode(symbol) is not Mode.OFF)
        return chain

    def _shrunk(self, row: DecisionRow, first: Evaluation) -> After:
        """Gates shrink the order: what they say at the smaller quantity is known if the run asked them the same."""
        if not row.first_pass or first.shrink != _recorded_shrink(row.first_pass):
            return After(Turn.SHRUNK, "", "", "", first.shrink, first)
        if row.by == "shrink" and row.reason != "SHRINK_REPEATED":
            return After(Turn.SAME, row.outcome, row.reason, row.by, row.qty, first)
        evaluation, complete, sure = self._evaluate(row.gates, row.order.symbol, row.qty)
        if evaluation.blocker >= 0 and not sure:
            return _blocked_by_somebody(evaluation, row.qty)
        if evaluation.blocker < 0 and not complete:
            return After(Turn.UNKNOWN, "", "", "", row.qty, evaluation)
        repeated = shrunk_again(evaluation, row.qty or Decimal(0))
        if repeated is not None:
            return self._refused(row, evaluation, repeated, row.qty)
        return self._conclude(row, evaluation, row.qty)

    def _conclude(self, row: DecisionRow, evaluation: Evaluation, qty: Decimal | None) -> After:
        refusal = admission(_intent(row), evaluation, self._policies)
        if refusal is not None:
            return self._refused(row, evaluation, refusal, qty)
        if row.outcome == ALLOWED:
            turn = Turn.SAME if row.qty == qty else Turn.RESIZED
        elif row.by in _STAGES or any(row.by == gate.gate for gate in row.gates):
            turn = Turn.ALLOWED
        else:  # refused by what comes after the gates; that has not changed
            return After(Turn.SAME, row.outcome, row.reason, row.by, row.qty, evaluation)
        return After(turn, ALLOWED, "OK", "", qty, evaluation)

    def _refused(self, row: DecisionRow, evaluation: Evaluation, refusal: Refusal, qty: Decimal | None) -> After:
        outcome, reason, by = refusal.outcome.value, refusal.reason, refusal.by
        turn = Turn.BLOCKED
        if row.outcome != ALLOWED:
            turn = Turn.SAME if (row.outcome, row.reason, row.by) == (outcome, reason, by) else Turn.REASON
        return After(turn, outcome, reason, by, qty, evaluation)


def _blocked_by_somebody(evaluation: Evaluation, qty: Decimal | None) -> After:
    """Blocked, but a gate that the run did not ask might have been the first: only orders that the run blocked, too."""
    return After(Turn.REASON, Outcome.BLOCKED.value, "", "", qty, evaluation)


def _recorded_shrink(rows: Sequence[GateRow]) -> Decimal | None:
    asked = [row.qty for row in rows if row.mode == Mode.ENFORCE and row.verdict == "shrink" and row.qty is not None]
    return min(asked, default=None)


def _intent(row: DecisionRow) -> OrderIntent:
    """The intent as the admission policy sees it."""
    order = row.order
    return OrderIntent(
        symbol=order.symbol,
        side=_SIDES[order.side],
        kind=_KINDS[order.kind],
        qty=order.wanted_qty,
        notional=order.wanted_notional,
        price=order.price,
        tif=_TIFS[order.tif or "GTC"],
        reduce_only=order.reduce_only,
        position_side=PositionSide(order.position_side) if order.position_side else PositionSide.BOTH,
        target=order.target,
        origin=row.origin,
        intent_id=row.id,
        created_ns=row.ts_ns,
    )


_SIDES: Final = {side.value: side for side in Side}
_KINDS: Final = {kind.value: kind for kind in IntentKind}
_TIFS: Final = {tif.value: tif for tif in TimeInForce}
