"""How venues differ: their error codes, and what they do where there is a choice.

Sources: the error code lists and order rules of Binance USD-M and Bybit v5 (linear).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

from grinder import Instrument

INSTRUMENTS_INFO: Final = "instruments-info"
"""Source of instruments that Bybit has stated."""


class Refusal(NamedTuple):
    """A venue's own code and text."""

    code: str
    text: str


class Dialect(NamedTuple):
    """What one venue does.

    Attributes:
        name: the venue.
        rejects_post_only: refuse a post-only order that would take; else accept it and cancel it at once.
        moves_price: move a limit price that is too aggressive to the nearest one allowed; else refuse it.
        clips_reducing: take an order that only reduces at no more than the position; else let it wait in full.
        keeps_place: an amendment that only lowers the quantity keeps the place in the queue.
        unique_for_ever: a client id may not be used again after its order has ended.
        most_orders: open orders that a symbol may have.
        most_conditional: conditional orders that may wait, over all symbols or in each (``conditional_by_symbol``).
        codes: the venue's code and text by that of Binance; those left out are the same.
    """

    name: str
    rejects_post_only: bool
    moves_price: bool
    clips_reducing: bool
    keeps_place: bool
    unique_for_ever: bool
    most_orders: int
    most_conditional: int
    conditional_by_symbol: bool
    codes: Mapping[str, Refusal]

    def refuse(self, refusal: Refusal) -> Refusal:
        """A refusal of Binance in this venue's words."""
        return self.codes.get(refusal.code, refusal)


BINANCE: Final = Dialect(
    name="binance",
    rejects_post_only=True,
    moves_price=False,
    clips_reducing=False,
    keeps_place=False,
    unique_for_ever=False,
    most_orders=200,
    most_conditional=200,
    conditional_by_symbol=False,
    codes={},
)

_PARAMETERS: Final = "10001"
BYBIT: Final = Dialect(
    name="bybit",
    rejects_post_only=False,
    moves_price=True,
    clips_reducing=True,
    keeps_place=True,
    unique_for_ever=True,
    most_orders=500,
    most_conditional=10,
    conditional_by_symbol=True,
    codes={
        "-1106": Refusal(_PARAMETERS, "params error: not allowed for this order"),
        "-1121": Refusal(_PARAMETERS, "params error: symbol invalid"),
        "-1130": Refusal(_PARAMETERS, "params error: not a number"),
        "-2011": Refusal("110001", "order not exists or too late to cancel"),
        "-2013": Refusal("110001", "order not exists or too late to replace"),
        "-2021": Refusal("110092", "the trigger price is on the wrong side of the market"),
        "-2019": Refusal("110007", "available balance is insufficient for the new order"),
        "-2020": Refusal("110118", "no usable price for a market order"),
        "-2022": Refusal("110017", "reduce-only order would be truncated to zero"),
        "-2025": Refusal("110020", "too many active orders for the symbol"),
        "-2027": Refusal("110013", "the position would exceed the risk limit at this leverage"),
        "-4001": Refusal(_PARAMETERS, "params error: price invalid"),
        "-4002": Refusal("110003", "order price exceeds the allowable range"),
        "-4003": Refusal(_PARAMETERS, "params error: qty invalid"),
        "-4004": Refusal(_PARAMETERS, "params error: qty below the minimum"),
        "-4005": Refusal(_PARAMETERS, "params error: qty exceeds the maximum"),
        "-4014": Refusal(_PARAMETERS, "params error: price is no multiple of the tick size"),
        "-4016": Refusal("110003", "order price exceeds the allowable range"),
        "-4023": Refusal(_PARAMETERS, "params error: qty is no multiple of the step"),
        "-4024": Refusal("110003", "order price exceeds the allowable range"),
        "-4045": Refusal("110009", "too many conditional orders"),
        "-4061": Refusal(_PARAMETERS, "position idx not match position mode"),
        "-4116": Refusal("110072", "OrderLinkedID is duplicate"),
        "-4131": Refusal("110118", "no usable price for a market order"),
        "-4164": Refusal("110094", "order notional value is below the minimum"),
        "-5025": Refusal(_PARAMETERS, "params error: the order cannot be amended"),
        "-5026": Refusal(_PARAMETERS, "params error: amended too often"),
        "-5027": Refusal(_PARAMETERS, "params error: nothing to amend"),
    },
)
"""Texts are free-form on this venue: programs match the code."""


def dialect(name: Literal["auto", "binance", "bybit"], instruments: Iterable[Instrument]) -> Dialect:
    """The dialect of a name; ``auto`` is that of the venue which stated the instruments, else Binance's."""
    if name == "auto":
        stated = [instrument.source == INSTRUMENTS_INFO for instrument in instruments]
        return BYBIT if stated and all(stated) else BINANCE
    return BYBIT if name == "bybit" else BINANCE
