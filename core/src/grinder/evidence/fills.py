"""Fills as reports need them."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from grinder.log import utc


class FillRow(msgspec.Struct, frozen=True):
    """One line of ``fills.jsonl``, as far as reports need it."""

    intent_id: str
    ts_ns: int
    symbol: str
    side: str
    price: Decimal
    qty: Decimal
    maker: bool
    fee: Decimal = Decimal(0)
    cause: str = ""

    @property
    def shape(self) -> str:
        """The mark that it is drawn as."""
        if self.cause:
            return "closed"
        return f"{'buy' if self.side == 'BUY' else 'sell'}-{'maker' if self.maker else 'taker'}"

    @property
    def told(self) -> str:
        """It in words."""
        did = "bought" if self.side == "BUY" else "sold"
        role = f"by the venue: {self.cause}" if self.cause else "maker" if self.maker else "taker"
        return f"{utc(self.ts_ns)[11:]} {did} {self.qty} at {self.price}, {role}"


decode_fill = msgspec.json.Decoder(FillRow).decode
"""A line of ``fills.jsonl`` as a :class:`FillRow`; raises msgspec.DecodeError if it is not one."""
