"""What gates answer, what the engine concludes, and the only thing that an exchange accepts."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias, final

import msgspec

from grinder.types import IntentKind, OrderIntent, Risk, Route, TradingState

Input: TypeAlias = float | int | str | Decimal | bool | None
"""One value that a gate records of what it looked at."""
Inputs: TypeAlias = Mapping[str, Input]
NO_INPUTS: Final[Inputs] = {}


class Allow(msgspec.Struct, frozen=True, gc=False):
    """The gate has nothing against the order. ``inputs`` is what it looked at, for the record."""

    inputs: Inputs = NO_INPUTS


class Warn(msgspec.Struct, frozen=True, gc=False):
    """The order may pass, but an operator should know why it nearly did not."""

    reason: str
    inputs: Inputs = NO_INPUTS


class Shrink(msgspec.Struct, frozen=True, gc=False):
    """The order may pass at ``qty`` (base units, above zero and below the order's) and no more."""

    qty: Decimal
    reason: str
    inputs: Inputs = NO_INPUTS


class Block(msgspec.Struct, frozen=True, gc=False):
    """The order must not be sent."""

    reason: str
    inputs: Inputs = NO_INPUTS


class Abstain(msgspec.Struct, frozen=True, gc=False):
    """The gate is not concerned with this order, and says why."""

    reason: str
    inputs: Inputs = NO_INPUTS


class Fault(msgspec.Struct, frozen=True, gc=False):
    """The host's own answer in place of a gate that failed. Plugins never return it.

    ``held`` says that the gate had answered a block, late or malformed, which stays one whatever ``on_error`` says.
    """

    reason: str
    error: str = ""
    blocks: bool = True
    inputs: Inputs = NO_INPUTS
    held: bool = False


Verdict: TypeAlias = Allow | Warn | Shrink | Block | Abstain
Answer: TypeAlias = Verdict | Fault


class Mode(enum.StrEnum):
    """OFF is not called; SHADOW is called and recorded, never binding; ENFORCE binds."""

    OFF = "off"
    SHADOW = "shadow"
    ENFORCE = "enforce"


class Threshold(msgspec.Struct, frozen=True, gc=False):
    """A gate's threshold for one symbol, and where it came from (a setting, or a plugin that resolved it)."""

    value: float
    unit: str = ""
    source: str = "settings"
    reason: str = ""
    evidence: str = ""


class GateInfo(msgspec.Struct, frozen=True, gc=False):
    """What is fixed of a gate for one symbol: it is stated beside each of its verdicts."""

    name: str
    mode: Mode
    on_error: str
    threshold: Threshold | None = None


class Outcome(enum.StrEnum):
    """ALLOWED is sent; BLOCKED was refused by a check; DROPPED can never be a valid order (sizing, venue rules)."""

    ALLOWED = "allowed"
    BLOCKED = "blocked"
    DROPPED = "dropped"


class Decision(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The one explained answer to one intent.

    ``gates[i]`` answered ``answers[i]``; both are empty where no gate was asked (cancels, reducing orders,
    intents dropped before the gates). ``qty`` is what may be sent. ``mid`` is the mid price seen.
    ``by`` names what decided: a gate, or a stage of the order path. ``first_answers`` are those to the wanted
    quantity when a gate shrank it, and ``answers`` those to the smaller one. ``client_id`` is that of the order sent,
    and ``reduce_only`` whether it is to carry the venue's flag.
    """

    intent: OrderIntent
    now_ns: int
    risk: Risk
    outcome: Outcome
    reason: str
    by: str
    qty: Decimal | None
    price: Decimal | None
    route: Route | None
    trading_state: TradingState
    mid: float
    detail: str = ""
    warnings: tuple[str, ...] = ()
    gates: tuple[GateInfo, ...] = ()
    answers: tuple[Answer, ...] = ()
    first_answers: tuple[Answer, ...] = ()
    client_id: str = ""
    reduce_only: bool = False

    @property
    def allowed(self) -> bool:
        """Whether the order may be sent."""
        return self.outcome is Outcome.ALLOWED


VERDICT_NAMES: Final[Mapping[type, str]] = {
    Allow: "allow",
    Warn: "warn",
    Shrink: "shrink",
    Block: "block",
    Abstain: "abstain",
    Fault: "error",
}


def _gate_record(info: GateInfo, answer: Answer) -> dict[str, Any]:
    row: dict[str, Any] = {"gate": info.name, "mode": info.mode.value, "verdict": VERDICT_NAMES[type(answer)]}
    if not isinstance(answer, Allow):
        row["reason"] = answer.reason
    if isinstance(answer, Shrink):
        row["qty"] = answer.qty
    if isinstance(answer, Fault):
        row["on_error"] = "block" if answer.blocks else "allow"
        if answer.held:
            row["held"] = True
        if answer.error:
            row["error"] = answer.error
    if answer.inputs:
        row["inputs"] = answer.inputs
    if info.threshold is not None:
        row["threshold"] = {k: v for k, v in msgspec.structs.asdict(info.threshold).items() if v != ""}
    return row


def _order_record(intent: OrderIntent, price: Decimal | None) -> dict[str, Any]:
    order: dict[str, Any] = {"kind": intent.kind.value, "symbol": intent.symbol, "side": intent.side.value}
    if intent.kind is not IntentKind.CANCEL:
        order |= {"tif": intent.tif.value, "price": price, "wanted_qty": intent.qty}
        if intent.notional is not None:
            order["wanted_notional"] = intent.notional
        if intent.reduce_only:
            order["reduce_only"] = True
        if intent.position_side.value != "BOTH":
            order["position_side"] = intent.position_side.value
    if intent.trigger is not None:
        order["trigger"] = msgspec.structs.asdict(intent.trigger)
    if intent.target:
        order["target"] = intent.target
    return order


def decision_record(decision: Decision) -> dict[str, Any]:
    """The decision as plain data: what ``decisions.jsonl`` holds, one object a line. Holds event time only."""
    intent = decision.intent
    row: dict[str, Any] = {
        "id": intent.intent_id,
        "ts_ns": decision.now_ns,
        "origin": intent.origin,
        "order": _order_record(intent, decision.price),
        "risk": decision.risk.value,
        "outcome": decision.outcome.value,
        "reason": decision.reason,
        "by": decision.by,
        "qty": decision.qty,
        "route": decision.route.value if decision.route is not None else None,
        "trading_state": decision.trading_state.value,
        "mid": decision.mid,
        "gates": [_gate_record(i, a) for i, a in zip(decision.gates, decision.answers, strict=True)],
    }
    if decision.first_answers:
        row["first_pass"] = [_gate_record(i, a) for i, a in zip(decision.gates, decision.first_answers, strict=False)]
    if decision.detail:
        row["detail"] = decision.detail
    if decision.warnings:
        row["warnings"] = decision.warnings
    if decision.client_id:
        row["client_id"] = decision.client_id
    return row


_SEAL: Final = object()


@final
class Admitted:
    """An order that passed every check. Only the engine makes one, and exchanges accept nothing else.

    Attributes:
        intent: the intent, with its id.
        client_id: client order id, a pure function of instance and intent.
        qty: quantity to send (base units); for CANCEL zero.
        price: limit price; None for a market order and for CANCEL.
        reduce_only: whether the venue's reduce-only flag is to be set.
        route: where it goes.
        target_client_id: for AMEND and CANCEL, the order meant.
        decided_ns: when it was decided.

    Raises:
        TypeError: when anybody but the engine makes one.
    """

    __slots__ = (
        "client_id",
        "decided_ns",
        "intent",
        "price",
        "qty",
        "reduce_only",
        "route",
        "target_client_id",
    )

    def __init__(  # noqa: PLR0917 - made in one place only
        self,
        seal: object,
        intent: OrderIntent,
        client_id: str,
        qty: Decimal,
        price: Decimal | None,
        reduce_only: bool,
        route: Route,
        target_client_id: str,
        decided_ns: int,
    ) -> None:
        if seal is not _SEAL:
            raise TypeError("only the engine admits orders: propose an OrderIntent instead")
        self.intent = intent
        self.client_id = client_id
        self.qty = qty
        self.price = price
        self.reduce_only = reduce_only
        self.route = route
        self.target_client_id = target_client_id
        self.decided_ns = decided_ns

    def __repr__(self) -> str:
        """Symbol, side, quantity, price and client id."""
        i = self.intent
        return f"Admitted({i.kind} {i.symbol} {i.side} {self.qty} @ {self.price} as {self.client_id})"
