"""The life of one order from intent to admission. The only maker of ``Admitted``.

Stages, in order: target or route, sizing, risk class, trading state, venue rules, in-flight cap, gates, admission
policy. Each may refuse; whatever happens, one ``Decision`` comes out. Cancels end after the first stage; reducing
orders skip sizing limits, the in-flight cap, gates and admission, so that they always get out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from grinder.decisions import _SEAL, Admitted, Decision, Mode, Outcome, Shrink
from grinder.engine import rules
from grinder.engine.admission import admission, shrunk_again
from grinder.engine.arithmetic import plain_arithmetic
from grinder.engine.draft import Desks, Draft, Policies, Refusal, Ruling
from grinder.engine.faces import RuntimeFace
from grinder.engine.risk import risk_of
from grinder.engine.runtime import Runtime
from grinder.engine.sizing import size
from grinder.gates.chain import Chain, Evaluation
from grinder.instruments import Instrument
from grinder.journal.identity import client_order_id
from grinder.market.state import MarketState
from grinder.types import (
    IntentKind,
    OpenOrder,
    OrderIntent,
    OrderState,
    PositionSide,
    Risk,
    Route,
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
        self._instruments = instruments
        self._desks = desks
        self._chain_for = chain_for
        self._policies = policies
        self._runtime = RuntimeFace(runtime)
        self._max_in_flight = max_in_flight
        self._hedge = hedge
        self._venue_reduce_only = venue_reduce_only
        self._maker_only = maker_only
        self._post_only = post_only
        self.trading_state = TradingState.ACTIVE
        self.symbol_states: dict[str, TradingState] = {}
        self.unavailable = ""
        self._stages = (
            self._resolve,
            self._size,
            self._classify,
            self._maker,
            self._state,
            self._rules,
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

    def _resolve(self, draft: Draft) -> Refusal | None:
        intent = draft.intent
        draft.instrument = self._instruments.get(intent.symbol)
        if draft.instrument is None:
            return Refusal(Outcome.DROPPED, "SYMBOL_UNKNOWN", "instruments", f"no instrument {intent.symbol!r}")
        if intent.kind is not IntentKind.PLACE:
            return self._resolve_target(draft)
        if intent.trigger is not None and intent.tif is TimeInForce.FOK:
            return Refusal(Outcome.DROPPED, "ORDER_INVALID", "order", "a conditional order cannot be fill-or-kill")
        if intent.tif is TimeInForce.GTX and intent.price is None:
            return Refusal(Outcome.DROPPED, "ORDER_INVALID", "order", "a post-only order needs a price")
        if (intent.position_side is PositionSide.BOTH) is self._hedge:
            mode = "hedge" if self._hedge else "one-way"
            detail = f"position side {intent.position_side} in {mode} mode"
            return Refusal(Outcome.DROPPED, "ORDER_INVALID", "order", detail)
        draft.route = self._route(draft)
        draft.desk = self._desks[draft.route]
        return None

    def _resolve_target(self, draft: Draft) -> Refusal | None:
        for route, desk in self._desks.items():
            target = desk.account.order(draft.intent.target)
            if target is not None and target.route is route:
                if (target.symbol, target.side) != (draft.intent.symbol, draft.intent.side):
                    detail = f"the order meant is {target.side} {target.symbol}"
                    return Refusal(Outcome.DROPPED, "ORDER_INVALID", "order", detail)
                if draft.intent.kind is IntentKind.AMEND and target.trigger is not None:
                    detail = "a conditional order that has not fired is cancelled and placed anew, not amended"
                    return Refusal(Outcome.DROPPED, "ORDER_INVALID", "order", detail)
                draft.target, draft.route, draft.desk = target, route, desk
                if draft.intent.kind is IntentKind.AMEND:
                    draft.price = draft.price if draft.price is not None else target.price
                    draft.qty = draft.intent.qty if draft.intent.qty is not None else target.qty
                    draft.reduce_only = target.reduce_only
                return None
        detail = f"no working order {draft.intent.target!r}"
        return Refusal(Outcome.DROPPED, "TARGET_UNKNOWN", "order", detail)

    def _route(self, draft: Draft) -> Route:
        intent = draft.intent
        for route, desk in self._desks.items():
            held = desk.account.position(intent.symbol, intent.position_side).qty
            if desk.real and held * intent.side.sign < 0:
                return route  # an order against a real position belongs where that position is
        try:
            route = Route(self._policies.route(intent.intent_id))
        except Exception as error:  # noqa: BLE001 - a policy is a plugin; any doubt means paper
            draft.warnings += (f"POLICY_ERROR: routing {type(error).__name__}: {error}",)
            return Route.PAPER
        return route if route in self._desks else Route.PAPER

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

    def _rules(self, draft: Draft) -> Refusal | None:
        if draft.instrument is None:
            return None
        reducing = draft.risk is Risk.REDUCE
        refusal = self._bend_trigger(draft, draft.instrument) if draft.intent.trigger is not None else None
        if refusal is not None:
            return refusal
        intent = draft.intent
        reference = intent.trigger.price if intent.trigger is not None else self.reference(intent.symbol)
        ruled = rules.check(draft.instrument, intent.side, draft.qty, draft.price, reference, reducing)
        draft.qty, draft.price = ruled.qty, ruled.price
        draft.warnings += ruled.warnings
        if ruled.reason:
            return Refusal(Outcome.DROPPED, ruled.reason, "venue_rules", ruled.detail)
        return None

    def _bend_trigger(self, draft: Draft, instrument: Instrument) -> Refusal | None:
        """Hold a trigger price to the tick: what adds risk is dropped, what reduces is bent so that it fires sooner."""
        trigger = draft.intent.trigger
        assert trigger is not None  # noqa: S101 - the caller has seen it
        price = rules.trigger_price(instrument, draft.intent.side, trigger)
        if price == trigger.price:
            return None
        tick = instrument.tick_size
        if draft.risk is not Risk.REDUCE or price <= 0:
            detail = f"trigger price {trigger.price} is not a positive multiple of {tick}"
            return Refusal(Outcome.DROPPED, "PRICE_TICK", "venue_rules", detail)
        draft.warnings += (f"PRICE_TICK: trigger {trigger.price} moved to {price}, a multiple of {tick}",)
        moved = msgspec.structs.replace(trigger, price=price)
        draft.intent = msgspec.structs.replace(draft.intent, trigger=moved)
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
        reference = self.reference(draft.intent.symbol)
        ruled = rules.check(instrument, draft.intent.side, qty, draft.price, reference, reducing=False)
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

    # Conclusion.

    def _conclude(self, draft: Draft, refusal: Refusal | None) -> Ruling:
        evaluation = draft.evaluation
        if evaluation is not None:
            self._chain_for(draft.intent.symbol).learn(evaluation, draft.now)
        intent = draft.intent
        cancel = intent.kind is IntentKind.CANCEL
        client_id = client_order_id(self._tag, intent.intent_id) if refusal is None else ""
        decision = Decision(
            intent=intent,
            now_ns=draft.now,
            risk=draft.risk,
            outcome=Outcome.ALLOWED if refusal is None else refusal.outcome,
            reason="OK" if refusal is None else refusal.reason,
            by="" if refusal is None else refusal.by,
            qty=None if cancel else draft.qty,
            price=draft.price,
            route=draft.route if refusal is None else None,
            trading_state=self.state_of(intent.symbol),
            mid=self._mid(intent.symbol),
            detail="" if refusal is None else refusal.detail,
            warnings=draft.warnings + _gate_warnings(evaluation),
            gates=evaluation.gates if evaluation is not None else (),
            answers=evaluation.answers if evaluation is not None else (),
            first_answers=draft.first,
            client_id=client_id,
            reduce_only=draft.reduce_only,
        )
        if refusal is not None or draft.route is None:
            return Ruling(decision)
        return self._admit(draft, draft.route, decision)

    def _admit(self, draft: Draft, route: Route, decision: Decision) -> Ruling:
        intent, target, client_id = draft.intent, draft.target, decision.client_id
        admitted = Admitted(
            _SEAL,
            intent,
            client_id,
            ZERO if intent.kind is IntentKind.CANCEL else draft.qty,
            draft.price,
            draft.reduce_only,
            route,
            target.client_id if target is not None else "",
            draft.now,
        )
        if intent.kind is not IntentKind.PLACE:
            return Ruling(decision, admitted)
        order = OpenOrder(
            intent.intent_id,
            client_id,
            intent.symbol,
            intent.side,
            intent.position_side,
            draft.price,
            draft.qty,
            draft.qty,
            draft.reduce_only,
            OrderState.INTENT,
            route,
            intent.origin,
            draft.now,
            intent.trigger,
        )
        return Ruling(decision, admitted, order)

    def _mid(self, symbol: str) -> float:
        try:
            return self._market.view(symbol).mid
        except KeyError:
            return 0.0


_STRICTNESS: Final = {TradingState.ACTIVE: 0, TradingState.REDUCE_ONLY: 1, TradingState.HALTED: 2}


def _gate_warnings(evaluation: Evaluation | None) -> tuple[str, ...]:
    """Shadow answers that would have bound, so that an operator sees them on an allowed order too."""
    if evaluation is None:
        return ()
    return tuple(
        f"{info.name} would shrink to {answer.qty}: {answer.reason}"
        for info, answer in zip(evaluation.gates, evaluation.answers, strict=True)
        if info.mode is Mode.SHADOW and isinstance(answer, Shrink)
    )
