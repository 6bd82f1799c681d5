"""The life of one order from intent to admission.

Stages, in order: target or route, sizing, risk class, trading state, venue rules, in-flight cap, gates, admission
policy. Each may refuse; whatever happens, one ``Decision`` comes out. Cancels end after the first stage; reducing
orders skip sizing limits, the in-flight cap, gates and admission, so that they always get out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Final

import msgspec

from grinder.decisions import Outcome
from grinder.engine import rules
from grinder.engine.admission import admission, shrunk_again
from grinder.engine.arithmetic import plain_arithmetic
from grinder.engine.conclusion import conclude
from grinder.engine.draft import Desks, Draft, Policies, Refusal, Ruling
from grinder.engine.faces import RuntimeFace
from grinder.engine.holding import hold_to_rules, valued_at
from grinder.engine.risk import risk_of
from grinder.engine.routing import Routing
from grinder.engine.runtime import Runtime
from grinder.engine.sizing import size
from grinder.gates.chain import Chain, Evaluation
from grinder.instruments import Instrument
from grinder.market.state import MarketState
from grinder.types import (
    IntentKind,
    OrderIntent,
    PositionSide,
    Risk,
    TimeInForce,
    TradingState,
)

ZERO: Final = Decimal(0)


class OrderPath:
    """Decides one intent at a time.

    Args:
        tag: instance tag, part of every client order id.
        desks: the account behind each route.
        chain_for: the compiled chain of a symbol.
        max_in_flight: orders without an answer that may exist before new risk is blocked.
        hedge: whether positions are held as separate legs.
        venue_reduce_only: whether reducing orders carry the venue's flag.
        maker_only: drop orders that add risk and would take liquidity.
        post_only: send resting orders that add risk as post-only.
    """

    def __init__(
        self,
        *,
        tag: str,
        market: MarketState,
        instruments: Mapping[str, Instrument],
        desks: Desks,
        chain_for: Callable[[str], Chain],
        policies: Policies,
        runtime: Runtime,
        max_in_flight: int,
        hedge: bool = False,
        venue_reduce_only: bool = True,
        maker_only: bool = False,
        post_only: bool = False,
    ) -> None:
        self._tag = tag
        self._market = market
        self._chain_for = chain_for
        self._policies = policies
        self._runtime = RuntimeFace(runtime)
        self._max_in_flight = max_in_flight
        self._venue_reduce_only = venue_reduce_only
        self._maker_only = maker_only
        self._post_only = post_only
        self.trading_state = TradingState.ACTIVE
        self.symbol_states: dict[str, TradingState] = {}
        self.unavailable = ""
        self._stages = (
            Routing(instruments, desks, policies, hedge=hedge).resolve,
            self._size,
            self._classify,
            self._maker,
            self._state,
            partial(hold_to_rules, reference=self.reference),
            self._in_flight,
            self._gates,
        )

    def decide(self, intent: OrderIntent, now: int, problem: str = "") -> Ruling:
        """One explained decision. Never raises for what a gate, a policy or an intent does.

        ``problem`` is what is wrong with the fields of the intent itself, as ``examined`` found it.
        """
        plain_arithmetic()
        draft = Draft(intent, now)
        if problem:
            return self._conclude(draft, Refusal(Outcome.DROPPED, "ORDER_INVALID", "order", problem))
        refusal: Refusal | None = None
        for stage in self._stages:
            refusal = stage(draft)
            if refusal is not None:
                break
            if draft.risk is Risk.CANCEL:
                break
        return self._conclude(draft, refusal)

    def refuse(self, ruling: Ruling, reason: str, by: str) -> Ruling:
        """The same intent, blocked after all (its decision could not be made durable, or waited too long)."""
        decision = msgspec.structs.replace(
            ruling.decision, outcome=Outcome.BLOCKED, reason=reason, by=by, route=None, client_id=""
        )
        return Ruling(decision)

    def state_of(self, symbol: str) -> TradingState:
        """The stricter of the whole instance's and the symbol's trading state."""
        return max(self.trading_state, self.symbol_states.get(symbol, TradingState.ACTIVE), key=_STRICTNESS.__getitem__)

    # Stages: each refuses or returns None.

    def _size(self, draft: Draft) -> Refusal | None:
        return size(draft, self._policies, self.reference)

    def _classify(self, draft: Draft) -> Refusal | None:
        intent, desk = draft.intent, draft.desk
        if intent.kind is IntentKind.CANCEL or desk is None:
            return None
        if not draft.qty.is_finite():
            return Refusal(Outcome.DROPPED, "INPUT_NONFINITE", "order", f"quantity is {draft.qty}")
        position = desk.account.position(intent.symbol, intent.position_side).qty
        same_side = desk.account.worst_case(intent.symbol, intent.side, intent.position_side)
        draft.risk = risk_of(
            intent, draft.qty, position, same_side, draft.target, venue_reduce_only=self._venue_reduce_only
        )
        placed = intent.kind is IntentKind.PLACE  # an amendment keeps the flag of its order
        if placed and draft.risk is Risk.REDUCE and intent.position_side is PositionSide.BOTH:
            draft.reduce_only = self._venue_reduce_only or intent.reduce_only
        return None

    def _maker(self, draft: Draft) -> Refusal | None:
        """Orders that add risk as makers only, where settings say so; what reduces may take."""
        intent = draft.intent
        if draft.risk is not Risk.INCREASE or intent.kind is not IntentKind.PLACE or intent.tif is TimeInForce.GTX:
            return None
        resting = intent.price is not None and intent.tif is TimeInForce.GTC
        if resting and (self._post_only or self._maker_only):
            draft.intent = msgspec.structs.replace(intent, tif=TimeInForce.GTX)
        elif self._maker_only:
            return Refusal(Outcome.DROPPED, "ORDER_INVALID", "order", "exchange.maker_only: the order would take")
        return None

    def _state(self, draft: Draft) -> Refusal | None:
        state = self.state_of(draft.intent.symbol)
        if state is TradingState.ACTIVE:
            return None
        if state is TradingState.HALTED:
            return Refusal(Outcome.BLOCKED, "TRADING_HALTED", "trading_state")
        if draft.risk is Risk.INCREASE:
            return Refusal(Outcome.BLOCKED, "TRADING_REDUCE_ONLY", "trading_state")
        return None

    def _in_flight(self, draft: Draft) -> Refusal | None:
        if draft.risk is not Risk.INCREASE or draft.desk is None:
            return None
        if self.unavailable:
            return Refusal(Outcome.BLOCKED, self.unavailable, "evidence")
        if not draft.desk.account.known:
            return Refusal(Outcome.BLOCKED, "ACCOUNT_UNKNOWN", "account")
        if draft.desk.account.unanswered >= self._max_in_flight:
            detail = f"{draft.desk.account.unanswered} orders have no answer yet"
            return Refusal(Outcome.BLOCKED, "IN_FLIGHT_CAP", "in_flight", detail)
        return None

    def _gates(self, draft: Draft) -> Refusal | None:
        if draft.risk is not Risk.INCREASE or draft.desk is None or draft.instrument is None:
            return None
        chain = self._chain_for(draft.intent.symbol)
        evaluation = self._evaluate(chain, draft)
        if evaluation.blocker < 0 and evaluation.shrink is not None:
            refusal = self._shrink(chain, draft, evaluation)
            if refusal is not None:
                return refusal
            evaluation = draft.evaluation or evaluation
        return admission(draft.intent, evaluation, self._policies)

    def _evaluate(self, chain: Chain, draft: Draft) -> Evaluation:
        intent = draft.intent
        if intent.qty != draft.qty or intent.price != draft.price:
            intent = msgspec.structs.replace(intent, qty=draft.qty, price=draft.price)
        symbol = intent.symbol
        account = draft.desk.face  # type: ignore[union-attr]
        fault = self._market.fault(symbol)
        evaluation = chain.evaluate(intent, self._market.face(symbol), account, self._runtime, draft.now, fault)
        draft.evaluation = evaluation
        plain_arithmetic()
        return evaluation

    def _shrink(self, chain: Chain, draft: Draft, evaluation: Evaluation) -> Refusal | None:
        """Ask once more at the smaller quantity; a second shrink drops the order."""
        instrument = draft.instrument
        shrink = evaluation.shrink
        assert instrument is not None and shrink is not None  # noqa: S101, PT018 - the caller has seen both
        qty = rules.floor_to(shrink, instrument.lot_size)
        draft.first = evaluation.answers
        at = valued_at(draft.intent, self.reference)
        ruled = rules.check(instrument, draft.intent.side, qty, draft.price, at, reducing=False)
        if ruled.reason:
            return Refusal(Outcome.DROPPED, ruled.reason, "shrink", ruled.detail)
        draft.warnings += (f"shrunk from {draft.qty} to {qty}",)
        draft.qty = qty
        again = self._evaluate(chain, draft)
        return shrunk_again(again, qty)

    def reference(self, symbol: str) -> Decimal:
        """The price that values market orders and centres the collar: mark, else mid, else zero."""
        try:
            view = self._market.view(symbol)
        except KeyError:
            return ZERO
        price = view.mark or view.mid
        return Decimal(repr(price)) if price == price and price > 0 else ZERO  # noqa: PLR0124 - NaN differs from itself

    def _conclude(self, draft: Draft, refusal: Refusal | None) -> Ruling:
        symbol, evaluation = draft.intent.symbol, draft.evaluation
        if evaluation is not None:
            self._chain_for(symbol).learn(evaluation, draft.now)
        return conclude(draft, refusal, tag=self._tag, trading_state=self.state_of(symbol), mid=self._mid(symbol))

    def _mid(self, symbol: str) -> float:
        try:
            return self._market.view(symbol).mid
        except KeyError:
            return 0.0


_STRICTNESS: Final = {TradingState.ACTIVE: 0, TradingState.REDUCE_ONLY: 1, TradingState.HALTED: 2}
