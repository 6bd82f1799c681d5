"""Writes the records of a run, one canonical JSON object a line, without ever raising into the order path.

The journal is the truth; these files derive from it and can be rebuilt with :meth:`Recorder.restore`.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from grinder.evidence.lines import LineFile
from grinder.types import Fill, FillCause, Payment

DECISIONS: Final = "decisions.jsonl"
FILLS: Final = "fills.jsonl"
PAYMENTS: Final = "payments.jsonl"
_ZERO: Final = Decimal(0)
"""How nothing is written, whatever number of decimals it was computed with (``0E-8``)."""

canonical = msgspec.json.Encoder(order="deterministic").encode
"""The one encoding of records: sorted keys, no blanks, decimals as text, NaN as null."""


def fill_record(fill: Fill) -> dict[str, Any]:
    """The fill as plain data: what ``fills.jsonl`` holds. ``ts_ns`` is when it reached us, on the injected clock."""
    row = {
        "trade_id": fill.trade_id,
        "ts_ns": fill.local_ns,
        "exchange_ns": fill.exchange_ns,
        "intent_id": fill.intent_id,
        "client_id": fill.client_id,
        "route": fill.route.value,
        "venue": fill.venue,
        "account": fill.account,
        "symbol": fill.symbol,
        "position_side": fill.position_side.value,
        "side": fill.side.value,
        "price": fill.price,
        "qty": fill.qty,
        "fee": fill.fee or _ZERO,
        "fee_asset": fill.fee_asset,
        "maker": fill.maker,
    }
    return row if fill.cause is FillCause.TRADE else row | {"cause": fill.cause.value}


def payment_record(payment: Payment) -> dict[str, Any]:
    """The payment as plain data: what ``payments.jsonl`` holds. ``ts_ns`` is when it reached us."""
    row = {
        "kind": payment.kind.value,
        "payment_id": payment.payment_id,
        "at_ns": payment.at_ns,
        "ts_ns": payment.local_ns,
        "route": payment.route.value,
        "venue": payment.venue,
        "account": payment.account,
        "symbol": payment.symbol,
        "position_side": payment.position_side.value,
        "amount": payment.amount or _ZERO,
        "asset": payment.asset,
    }
    details = {"rate": payment.rate, "mark": payment.mark, "qty": payment.qty}
    return row | {name: value for name, value in details.items() if value is not None}


class Recorder:
    """The records of decisions, fills and payments of one run, in ``out``.

    Attributes:
        run_id: the run that these are records of; never in the records themselves.
    """

    def __init__(self, out: Path, *, run_id: str) -> None:
        self.run_id = run_id
        self._decisions = LineFile(out / DECISIONS)
        self._fills = LineFile(out / FILLS)
        self._payments = LineFile(out / PAYMENTS)

    def decision(self, record: bytes) -> None:
        """Record one decision: its :func:`canonical` line, without newline."""
        self._decisions.append(record)

    def fill(self, record: bytes) -> None:
        """Record one fill: its :func:`canonical` line, without newline."""
        self._fills.append(record)

    def payment(self, record: bytes) -> None:
        """Record one payment: its :func:`canonical` line, without newline."""
        self._payments.append(record)

    def flush(self) -> None:
        """Hand everything to the operating system; call it on a timer when live."""
        for file in self._files:
            file.flush()

    def restore(self, decisions: Iterable[bytes], fills: Iterable[bytes], payments: Iterable[bytes] = ()) -> None:
        """Rewrite the files from the journal, atomically, and continue after them. Failure is in ``error``."""
        self._decisions.restore(decisions)
        self._fills.restore(fills)
        self._payments.restore(payments)

    def close(self) -> None:
        """Flush and close the files; nothing is recorded afterwards."""
        for file in self._files:
            file.close()

    @property
    def _files(self) -> tuple[LineFile, ...]:
        return self._decisions, self._fills, self._payments

    @property
    def error(self) -> str:
        """Why records wait or are lost, and what to do; empty when all is well."""
        return next((file.error for file in self._files if file.error), "")

    @property
    def lost(self) -> int:
        """Records that are not in the files and will not be until they are rebuilt."""
        return sum(file.lost for file in self._files)

    @property
    def decisions(self) -> int:
        """Decisions recorded so far, those before a resume included."""
        return self._decisions.count

    @property
    def fills(self) -> int:
        """Fills recorded so far, those before a resume included."""
        return self._fills.count

    @property
    def decisions_sha256(self) -> str:
        """SHA-256 over the decision lines, each with its newline."""
        return self._decisions.hexdigest()

    @property
    def fills_sha256(self) -> str:
        """SHA-256 over the fill lines, each with its newline."""
        return self._fills.hexdigest()
