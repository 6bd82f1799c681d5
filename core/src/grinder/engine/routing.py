"""The first stage of the order path: which instrument, which order is meant, and where an order goes."""

from __future__ import annotations

from collections.abc import Mapping

from grinder.decisions import Outcome
from grinder.engine.draft import Desks, Draft, Policies, Refusal
from grinder.instruments import Instrument
from grinder.types import IntentKind, PositionSide, Route, TimeInForce


class Routing:
    """Resolves what an intent names.

    Args:
        desks: the account behind each route.
        hedge: whether positions are held as separate legs.
    """

    def __init__(self, instruments: Mapping[str, Instrument], desks: Desks, policies: Policies, *, hedge: bool) -> None:
        self._instruments = instruments
        self._desks = desks
        self._policies = policies
        self._hedge = hedge

    def resolve(self, draft: Draft) -> Refusal | None:
        """Find the instrument, and the order meant or the route."""
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
