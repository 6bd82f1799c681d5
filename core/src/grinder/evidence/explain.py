"""One decision in plain sentences: what was wanted, what each gate said and why, what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from grinder.evidence.recorder import canonical
from grinder.evidence.text import number, printable
from grinder.log import utc

Meaning = Callable[[str], str]
Value = str | int | float | bool | None


class ThresholdRow(msgspec.Struct, frozen=True, gc=False):
    """A threshold as it stands in a record."""

    value: float
    unit: str = ""
    source: str = ""
    reason: str = ""
    evidence: str = ""


class GateRow(msgspec.Struct, frozen=True, gc=False):
    """One gate's answer as it stands in a record."""

    gate: str
    mode: str
    verdict: str
    reason: str = ""
    qty: Decimal | None = None
    on_error: str = ""
    error: str = ""
    held: bool = False
    inputs: dict[str, Value] = {}
    threshold: ThresholdRow | None = None


class TriggerRow(msgspec.Struct, frozen=True, gc=False):
    """What a conditional order waits for, as it stands in a record."""

    kind: str
    price: Decimal
    source: str = ""


class OrderRow(msgspec.Struct, frozen=True, gc=False):
    """What was wanted, as it stands in a record."""

    kind: str
    symbol: str
    side: str
    tif: str = ""
    price: Decimal | None = None
    wanted_qty: Decimal | None = None
    wanted_notional: Decimal | None = None
    reduce_only: bool = False
    position_side: str = ""
    trigger: TriggerRow | None = None
    target: str = ""


class DecisionRow(msgspec.Struct, frozen=True, gc=False):
    """One line of ``decisions.jsonl``, as readers need it; keys that they do not know are passed over."""

    id: str
    ts_ns: int
    order: OrderRow
    outcome: str
    reason: str
    by: str = ""
    origin: str = ""
    risk: str = ""
    qty: Decimal | None = None
    route: str | None = None
    trading_state: str = ""
    mid: float | None = None
    gates: tuple[GateRow, ...] = ()
    first_pass: tuple[GateRow, ...] = ()
    detail: str = ""
    warnings: tuple[str, ...] = ()
    client_id: str = ""


decode_decision = msgspec.json.Decoder(DecisionRow).decode
"""A line of ``decisions.jsonl`` as a :class:`DecisionRow`; raises msgspec.DecodeError if it is not one."""

_SAID: Final = {
    "allow": ("allowed it", "would have allowed it"),
    "warn": ("let it pass with a warning", "would have warned"),
    "shrink": ("shrank it", "would have shrunk it"),
    "block": ("blocked it", "would have blocked it"),
    "abstain": ("had no say", "would have had no say"),
    "error": ("could not answer", "could not answer"),
}
_RISK: Final = {
    "INCREASE": "it may add risk",
    "REDUCE": "it reduces risk, so entry gates are not asked",
    "CANCEL": "a cancel, so entry gates are not asked",
}


def explain(record: Mapping[str, Any], meaning: Meaning, events: Sequence[Mapping[str, Any]] = ()) -> str:
    """Explain one decision.

    Args:
        record: as in ``decisions.jsonl``.
        meaning: the sentence for a reason code, or the code itself.
        events: what came after: fills as in ``fills.jsonl``, the line of ``markouts.jsonl``, or order events
            with the keys ``event`` and ``ts_ns``.

    Returns:
        Lines of plain text, safe for a terminal.

    Raises:
        msgspec.ValidationError: the record is not a decision.
    """
    row = decode_decision(canonical(record))
    lines = [_verdict(row), *_why(row, meaning), "", *_facts(row), ""]
    meaning = _but(row.reason, meaning)
    if row.first_pass:
        lines += [f"Gates at the wanted quantity of {row.order.wanted_qty}:", *_gates(row.first_pass, meaning), ""]
        lines += [f"Asked once more at {row.qty}:"]
    elif row.gates:
        lines += ["Gates, in the order in which they were asked:"]
    lines += [*_gates(row.gates, meaning), ""] if row.gates else ["No gate was asked.", ""]
    lines += [_sent(row), *(_event(row, event) for event in events)]
    return "\n".join(printable(line) for line in lines)


_CAUSES: Final = {"LIQUIDATION": "a liquidation", "ADL": "auto-deleveraging"}


def closed_by_venue(client_id: str, fills: Sequence[Mapping[str, Any]]) -> str:
    """What happened under a client id of the venue's own, which no decision of ours stands behind.

    Args:
        client_id: of the venue's order.
        fills: its fills as in ``fills.jsonl``, at least one.

    Returns:
        Lines of plain text, safe for a terminal.
    """
    cause = str(fills[0].get("cause"))
    why = f"{_CAUSES.get(cause, 'a cause of its own')} ({cause})"
    symbol = fills[0].get("symbol")
    lines = [f"No decision stands behind {client_id}: the venue itself closed the position in {symbol}, by {why}."]
    lines += ["No gate was asked and nothing was sent. What it traded:", ""]
    lines += [_fill(fill) for fill in fills]
    return "\n".join(printable(line) for line in lines)


def _verdict(row: DecisionRow) -> str:
    by = f" by {row.by}" if row.by else ""
    return f"Decision {row.id} was {row.outcome.upper()}{by}: {row.reason}."


def _but(told: str, meaning: Meaning) -> Meaning:
    """The meanings of all codes but one that has been told."""
    return lambda code: code if code == told else meaning(code)


def _why(row: DecisionRow, meaning: Meaning) -> Iterator[str]:
    if row.reason != "OK" and (sentence := meaning(row.reason)) != row.reason:
        yield sentence
    if row.detail:
        yield f"Detail: {row.detail}"
    for warning in row.warnings:
        yield f"Warning: {_reason(warning, meaning)}"


def _facts(row: DecisionRow) -> Iterator[str]:
    yield f"When    {utc(row.ts_ns, 9)}"
    yield f"Wanted  {wanted(row.order)}" + (f", by {row.origin}" if row.origin else "")
    yield f"Market  {_market(row)}"
    yield f"Risk    {row.risk}: {_RISK.get(row.risk, 'unknown class')}; trading state {row.trading_state}"


def wanted(order: OrderRow) -> str:
    """The order in words."""
    if order.kind == "CANCEL":
        return f"CANCEL {order.target} ({order.side} {order.symbol})"
    amount = str(order.wanted_qty or "") or (f"for {order.wanted_notional}" if order.wanted_notional else "")
    price = f"at {order.price}" if order.price is not None else "at market"
    extras = [
        _condition(order.trigger),
        order.tif,
        *(["reduce-only"] if order.reduce_only else []),
        order.position_side,
    ]
    text = " ".join(word for word in (order.side, amount, order.symbol, price) if word)
    text = f"{text} ({', '.join(word for word in extras if word)})"
    return f"AMEND {order.target} to {text}" if order.kind == "AMEND" else text


def _condition(trigger: TriggerRow | None) -> str:
    if trigger is None:
        return ""
    return f"{trigger.kind.replace('_', '-').lower()} at {trigger.price} by {trigger.source.lower()} price"


def _market(row: DecisionRow) -> str:
    if not row.mid:
        return "no mid price was known"
    text = f"mid {number(row.mid, 8)}"
    if row.order.price is not None:
        bps = (float(row.order.price) / row.mid - 1) * 1e4
        text += (
            f"; the limit lay {abs(bps):.2f} bps {'above' if bps > 0 else 'below'} it" if bps else "; so was the limit"
        )
    return text


def _reason(code: str, meaning: Meaning) -> str:
    sentence = meaning(code)
    return f"{code} - {sentence}" if sentence != code else code


def _gates(rows: Sequence[GateRow], meaning: Meaning) -> Iterator[str]:
    for place, row in enumerate(rows, 1):
        said = _SAID.get(row.verdict, (row.verdict, f"{row.verdict} (not binding)"))[row.mode != "enforce"]
        amount = f" to {row.qty}" if row.qty is not None else ""
        why = f": {_reason(row.reason, meaning)}" if row.reason else "."
        yield f"  {place}. {row.gate} ({row.mode}) {said}{amount}{why}"
        if row.on_error:
            binding = "counts as" if row.mode == "enforce" else "would have counted as"
            why = "it had answered a block" if row.held else "on_error"
            yield f"     That {binding} {'a block' if row.on_error == 'block' else 'an allow'} ({why})."
        if row.error:
            yield f"     Error: {row.error}"
        if row.inputs:
            yield f"     It saw {', '.join(f'{key} {_value(value)}' for key, value in row.inputs.items())}."
        if row.threshold is not None:
            yield f"     {_threshold(row.threshold)}"


def _value(value: Value) -> str:
    return number(value, 8) if isinstance(value, float) else "nothing" if value is None else str(value)


def _threshold(threshold: ThresholdRow) -> str:
    text = f"Threshold {number(threshold.value, 8)}"
    text += f" {threshold.unit}" if threshold.unit else ""
    text += f", from {threshold.source}" if threshold.source else ""
    text += f" ({threshold.reason})" if threshold.reason else ""
    return text + (f"; evidence: {threshold.evidence}" if threshold.evidence else "") + "."


def _sent(row: DecisionRow) -> str:
    if row.outcome != "allowed":
        return "Nothing was sent."
    route = f"route {row.route}" if row.route else "the route that holds the order"
    named = f" as {row.client_id}" if row.client_id else ""
    if row.order.kind == "CANCEL":
        return f"The cancel was admitted to {route}{named}."
    return f"Admitted: {row.order.side} {row.qty} {row.order.symbol} to {route}{named}."


def _at(event: Mapping[str, Any]) -> str:
    return f"{utc(event['ts_ns'], 9)}  " if isinstance(event.get("ts_ns"), int) else ""


def _fill(fill: Mapping[str, Any]) -> str:
    did = "bought" if fill.get("side") == "BUY" else "sold"
    role = "maker" if fill.get("maker") else "taker"
    return (
        f"{_at(fill)}{did} {fill.get('qty')} at {fill.get('price')} as {role}, fee {fill.get('fee')} "
        f"{fill.get('fee_asset')} (trade {fill.get('trade_id')}, order {fill.get('client_id')})"
    )


def _event(row: DecisionRow, event: Mapping[str, Any]) -> str:
    if "trade_id" in event:
        return _fill(event)
    if "event" in event:
        rest = (f"{key} {value}" for key, value in event.items() if key not in ("event", "ts_ns"))
        return f"{_at(event)}{event['event']}: {', '.join(rest)}"
    later = sorted((float(key[4:-1]), mid) for key, mid in event.items() if key.startswith("mid_"))
    return "The mid price later: " + ", ".join(f"{_drift(row, mid)} after {when:g} s" for when, mid in later)


def _drift(row: DecisionRow, mid: float | None) -> str:
    if mid is None:
        return "unknown"
    return f"{number(mid, 8)} ({(mid / row.mid - 1) * 1e4:+.2f} bps)" if row.mid else number(mid, 8)
