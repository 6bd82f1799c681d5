"""How the journal's records become rows of its tables, each with a checksum, and rows become records again."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias
from zlib import crc32

from grinder.journal.records import LoggedEvent, OrderRecord
from grinder.types import (
    Fill,
    FillCause,
    IntentKind,
    OrderState,
    Payment,
    PaymentKind,
    PositionSide,
    Route,
    Side,
    Trigger,
    TriggerKind,
    TriggerSource,
)

Row: TypeAlias = tuple[Any, ...]
_NO_ORDER: Final = (None,) * 14


def checksum(values: Sequence[object], data: bytes = b"") -> int:
    """Checksum of a row's values, and of the data that goes with it."""
    return crc32(data, crc32("\x1f".join(map(str, values)).encode()))


def signed(*values: object) -> Row:
    """A row with its checksum at the end."""
    return (*values, checksum(values))


def intact(row: Row) -> bool:
    """Whether a row (of any table but ``intents``) is as it was written."""
    return bool(checksum(row[:-1]) == row[-1])


def intent_row(seq: int, intent_id: str, ts_ns: int, record: bytes, order: OrderRecord | None) -> Row:
    """Row of ``intents``: a decision, and the order if there is to be one."""
    facts: Row = (seq, intent_id, ts_ns, "", *_NO_ORDER)
    if order is not None:
        o = order
        facts = (
            seq,
            intent_id,
            ts_ns,
            o.client_id,
            o.kind.value,
            o.symbol,
            o.side.value,
            o.position_side.value,
            str(o.qty),
            None if o.price is None else str(o.price),
            1 if o.reduce_only else 0,
            _trigger_text(o.trigger),
            o.route.value,
            o.venue,
            o.account,
            o.origin,
            o.target_client_id,
            o.created_ns,
        )
    return (*facts, record, checksum(facts, record))


def intent_intact(row: Row) -> bool:
    """Whether a row of ``intents`` is as it was written."""
    return isinstance(row[-2], bytes) and checksum(row[:-2], row[-2]) == row[-1]


def order_of(row: Row) -> OrderRecord:
    """The order in a row of ``intents``, as it was when it was decided."""
    _, intent_id, ts_ns, client_id, kind, symbol, side, position_side, qty, price, reduce_only, *rest = row
    triggered, route, venue, account, origin, target_client_id, created_ns, _, _ = rest
    return OrderRecord(
        intent_id=intent_id,
        client_id=client_id,
        kind=IntentKind(kind),
        symbol=symbol,
        side=Side(side),
        position_side=PositionSide(position_side),
        qty=Decimal(qty),
        price=None if price is None else Decimal(price),
        reduce_only=bool(reduce_only),
        route=Route(route),
        venue=venue,
        account=account,
        origin=origin,
        target_client_id=target_client_id,
        created_ns=created_ns,
        trigger=_trigger_of(triggered),
        updated_ns=ts_ns,
    )


def _trigger_text(trigger: Trigger | None) -> str | None:
    return None if trigger is None else f"{trigger.kind.value} {trigger.source.value} {trigger.price}"


def _trigger_of(text: str | None) -> Trigger | None:
    if text is None:
        return None
    kind, source, price = text.split(" ")
    return Trigger(TriggerKind(kind), Decimal(price), TriggerSource(source))


def event_of(row: Row) -> LoggedEvent:
    """The record in a row of ``order_events``."""
    seq, client_id, ts_ns, kind, state, filled_qty, qty, price, venue_order_id, detail, _ = row
    return LoggedEvent(
        seq,
        client_id,
        ts_ns,
        kind,
        OrderState(state),
        Decimal(filled_qty),
        None if qty is None else Decimal(qty),
        None if price is None else Decimal(price),
        venue_order_id,
        detail,
    )


def fill_row(seq: int, fill: Fill) -> Row:
    """Row of ``fills``."""
    f = fill
    return signed(
        seq,
        f.venue,
        f.account,
        f.symbol,
        f.trade_id,
        f.route.value,
        f.position_side.value,
        f.client_id,
        f.intent_id,
        f.side.value,
        str(f.price),
        str(f.qty),
        str(f.fee),
        f.fee_asset,
        1 if f.maker else 0,
        f.exchange_ns,
        f.local_ns,
        f.cause.value,
    )


def fill_of(row: Row) -> Fill:
    """The fill in a row of ``fills``."""
    _, venue, account, symbol, trade_id, route, position_side, client_id, intent_id, side, price, qty, *rest = row
    fee, fee_asset, maker, exchange_ns, local_ns, cause, _ = rest
    return Fill(
        route=Route(route),
        venue=venue,
        account=account,
        symbol=symbol,
        position_side=PositionSide(position_side),
        trade_id=trade_id,
        client_id=client_id,
        intent_id=intent_id,
        side=Side(side),
        price=Decimal(price),
        qty=Decimal(qty),
        fee=Decimal(fee),
        fee_asset=fee_asset,
        maker=bool(maker),
        exchange_ns=exchange_ns,
        local_ns=local_ns,
        cause=FillCause(cause),
    )


def payment_row(seq: int, payment: Payment) -> Row:
    """Row of ``payments``."""
    p = payment
    return signed(
        seq,
        p.venue,
        p.account,
        p.kind.value,
        p.payment_id,
        p.route.value,
        p.symbol,
        p.position_side.value,
        str(p.amount),
        p.asset,
        p.at_ns,
        p.local_ns,
        *(None if number is None else str(number) for number in (p.rate, p.mark, p.qty)),
    )


def payment_of(row: Row) -> Payment:
    """The payment in a row of ``payments``."""
    _, venue, account, kind, payment_id, route, symbol, position_side, amount, asset, at_ns, local_ns, *rest = row
    rate, mark, qty = (None if number is None else Decimal(number) for number in rest[:3])
    return Payment(
        kind=PaymentKind(kind),
        payment_id=payment_id,
        route=Route(route),
        venue=venue,
        account=account,
        symbol=symbol,
        position_side=PositionSide(position_side),
        amount=Decimal(amount),
        asset=asset,
        at_ns=at_ns,
        local_ns=local_ns,
        rate=rate,
        mark=mark,
        qty=qty,
    )
