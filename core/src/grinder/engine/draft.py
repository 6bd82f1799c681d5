"""What the order path works on: an intent on its way, what refuses it, what rules on it, and who is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, Protocol, TypeAlias

import msgspec

from grinder.decisions import Admitted, Answer, Decision, GateInfo, Outcome
from grinder.engine.account import Account
from grinder.engine.faces import AccountFace
from grinder.gates.chain import Evaluation
from grinder.instruments import Instrument
from grinder.types import IntentKind, OpenOrder, OrderIntent, Risk, Route

ZERO: Final = Decimal(0)


class Policies(Protocol):
    """What follows from verdicts; a module of the ``grinder.policies`` group, or parts of several."""

    min_free_balance: Decimal

    def admission(self, order: OrderIntent, gates: Sequence[GateInfo], answers: Sequence[Answer]) -> str:
        """Empty to accept, else why not. It can only be stricter than the gates."""
        ...

    def size(self, notional: Decimal, price: Decimal, instrument: Instrument, free_balance: Decimal) -> Decimal:
        """Quantity for a wanted notional; zero drops the order."""
        ...

    def route(self, intent_id: str) -> Route:
        """Where an order that adds risk goes."""
        ...


class Desk(msgspec.Struct):
    """One exchange's account, and its face for plugins; ``real`` is False for the paper exchange."""

    account: Account
    face: AccountFace
    real: bool


Desks: TypeAlias = Mapping[Route, Desk]


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """Why an intent ends here."""

    outcome: Outcome
    reason: str
    by: str
    detail: str = ""


class Draft:
    """An intent on its way through the stages."""

    __slots__ = ("desk", "evaluation", "first", "instrument", "intent", "now", "price", "qty", "reduce_only", "risk",
                 "route", "target", "warnings")  # fmt: skip

    def __init__(self, intent: OrderIntent, now: int) -> None:
        self.intent = intent
        self.now = now
        self.qty: Decimal = intent.qty if intent.qty is not None else ZERO
        self.price = intent.price
        self.risk = Risk.CANCEL if intent.kind is IntentKind.CANCEL else Risk.INCREASE
        self.reduce_only = intent.reduce_only
        self.route: Route | None = None
        self.desk: Desk | None = None
        self.instrument: Instrument | None = None
        self.target: OpenOrder | None = None
        self.warnings: tuple[str, ...] = ()
        self.evaluation: Evaluation | None = None
        self.first: tuple[Answer, ...] = ()


class Ruling(msgspec.Struct, frozen=True):
    """The decision, and where it is allowed the sealed order and how it counts until it is final."""

    decision: Decision
    admitted: Admitted | None = None
    order: OpenOrder | None = None
