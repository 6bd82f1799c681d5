"""The answer of ``grinder whatif`` for people."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from grinder.evidence.text import number, printable, table
from grinder.whatif.blocks import MIN_BLOCKS, Estimate
from grinder.whatif.effects import LostFills
from grinder.whatif.result import Count, GateReport, Told, WhatIf
from grinder.whatif.review import Turn

TURNS: Final = {
    Turn.BLOCKED: "sent in the run, would not be",
    Turn.ALLOWED: "not sent in the run, would be",
    Turn.RESIZED: "would be sent at another quantity",
    Turn.SHRUNK: "would be shrunk to a quantity at which the run did not ask the gates: not known further",
    Turn.UNKNOWN: "not known: a gate that would have its say was not asked in the run",
    Turn.REASON: "not sent either way, for another reason",
}
GROUPS: Final = {
    "fills_lost": "orders whose fills are lost",
    "newly_blocked": "orders newly blocked",
    "newly_allowed": "orders newly allowed",
    "all_fills": "all orders with fills in the run",
}
DRIFT: Final = (
    "Position drift is not modelled: an order that is sent or not changes positions, resting orders and later orders.",
    "Breakers are not run again either.",
)
TOP: Final = 8


def render(answer: WhatIf, top: int = TOP) -> str:
    """The whole text, safe for a terminal. ``top`` reasons are listed in each table."""
    lines = [_row("run", f"{answer.run}: {answer.decisions:,} decisions, {answer.gated:,} of them put to gates")]
    if not answer.changes:
        lines.append("Nothing changed: every setting that was given is what the run had.")
        return "\n".join(lines)
    lines += [_row("changed", f"{c.key}: {_value(c.before)} -> {_value(c.after)}") for c in answer.changes]
    lines += [_row("gate", text) for report in answer.gates if (text := _gate(report))]
    if answer.not_modelled:
        lines.append(_row("ignored", f"{', '.join(answer.not_modelled)}: recorded decisions cannot answer for that"))
    lines += [_row("note", note) for note in answer.notes]
    lines.append("")
    if not answer.turns:
        return "\n".join([*lines, f"No decision would change{'' if _known(answer) else ', as far as that is known'}."])
    lines += [*_turns(answer), "", *_reasons(answer.by_reason, top), "", *_answers(answer.by_gate, top), ""]
    lines += [*_lost(answer.fills_lost), "", *_drift(answer), "", *_changed(answer)]
    return "\n".join(lines)


def _known(answer: WhatIf) -> bool:
    """Whether recorded decisions answer for every changed setting."""
    return not answer.not_modelled and all(
        report.status in {"judged", "kept", "removed", "off"} and not report.not_judged and not report.kept
        for report in answer.gates
    )


def _row(name: str, text: str) -> str:
    return f"{name:<9} {printable(text)}"


def _value(value: Any) -> str:
    return "nothing" if value is None else value if isinstance(value, str) else json.dumps(value)


def _gate(report: GateReport) -> str:
    name = report.gate
    match report.status:
        case "judged":
            text = f"{name}: {report.rejudged:,} recorded answers judged anew"
            if report.faults:
                text += f"; {report.faults:,} faults stay"
            if report.kept:
                text += f"; {report.kept:,} kept, since its judge raises or does not reproduce them"
            if report.not_judged:
                text += f"; NOT judged: {', '.join(report.not_judged)}, which its judge never reads"
            return text
        case "no_judge":
            return f"{name}: offers no judge, so its recorded answers stay; NOT judged: {', '.join(report.changed)}"
        case "absent":
            return f"{name}: was not in the run, so nothing is known of what it would have answered"
        case "removed":
            return f"{name}: switched off, so its answers no longer count"
    return ""


def _turns(answer: WhatIf) -> Iterator[str]:
    yield f"{answer.sent_changes:,} decisions would change:"
    for turn, meaning in TURNS.items():
        if count := answer.turns.get(turn.value, 0):
            yield f"  {count:>9,}  {meaning}"
    if answer.amendments:
        yield f"  {answer.amendments:,} of them are amendments: the order that one means stays when it is blocked."
    if answer.first_change:
        yield DRIFT[0]
        yield f"{DRIFT[1]} {answer.after_first_change:,} decisions come after the first that changes."


def _reasons(rows: Sequence[Count], top: int) -> Iterator[str]:
    shown = [row for row in rows if row.before != row.after]
    yield from table(
        ("decision", "before", "after", "by", "reason"),
        [
            [row.what[0], f"{row.before:,}", f"{row.after:,}", row.what[1] or "-", row.what[2] or "-"]
            for row in shown[:top]
        ],
        2,
    )
    yield from _more(len(shown) - top)


def _answers(rows: Sequence[Count], top: int) -> Iterator[str]:
    shown = [row for row in rows if row.before != row.after]
    cells = [
        [row.what[0], f"{row.before:,}", f"{row.after:,}", row.what[1], row.what[2], row.what[3] or "-"]
        for row in shown[:top]
    ]
    if cells:
        yield from table(("gate", "before", "after", "mode", "answer", "reason"), cells, 2)
        yield from _more(len(shown) - top)


def _more(count: int) -> Iterator[str]:
    if count > 0:
        yield f"... and {count} more with --json"


def _lost(lost: LostFills) -> Iterator[str]:
    if not lost.fills:
        yield _row("fills", "none would be lost")
    else:
        yield _row(
            "fills",
            f"{lost.fills:,} lost on {lost.orders:,} orders, notional {number(lost.notional, 2)}, "
            f"fees {_fees(lost.fees)}",
        )
        for row in lost.by_symbol:
            yield _row("", f"{row.symbol} {number(row.qty, 8)} in {row.fills:,} fills, {number(row.notional, 2)}")
    if lost.resized_orders:
        yield _row("", f"{lost.resized_orders:,} orders with fills would have another quantity; how much is not known")


def _fees(fees: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{number(amount)} {asset}".strip() for asset, amount in sorted(fees.items())) or "0"


def _drift(answer: WhatIf) -> Iterator[str]:
    if answer.drift is None:
        yield "The run has no markouts.jsonl, so nothing is known of what the market did afterwards."
        return
    yield "Mid price after the decision, in bps of it; positive is good for the order's side, fees are not in it:"
    rows = [
        [GROUPS[name], f"{drift.orders:,}", *map(_estimate, (drift.s1, drift.s5, drift.s30))]
        for name, drift in answer.drift.items()
        if drift.orders
    ]
    yield from table(("", "orders", "after 1 s", "after 5 s", "after 30 s"), rows, 4)
    yield from (
        f"{drift.no_markout:,} of the {drift.orders:,} {GROUPS[name].removeprefix('all ')} have no line in "
        "markouts.jsonl and do not count."
        for name, drift in answer.drift.items()
        if drift.no_markout
    )
    yield "+- is one standard error by blocks of 10, 10 and 60 s of time, since such moves overlap;"
    yield f"it is left out where there are fewer than {MIN_BLOCKS} blocks."


def _estimate(found: Estimate) -> str:
    if found.mean is None:
        return "-"
    error = f" +- {found.se:.2f}" if found.se is not None else ""
    return f"{found.mean:+.2f}{error} (n {found.n:,})"


def _changed(answer: WhatIf) -> Iterator[str]:
    if not answer.changed:
        return
    rows = [[row.id, f"{row.side} {row.symbol}", _told(row.before), _told(row.after)] for row in answer.changed]
    yield from table(("decision", "order", "before", "after"), rows, 0)
    more = sum(answer.turns.values()) - len(answer.changed)
    if more > 0:
        yield f"... and {more:,} more; --limit shows more, --out writes all"
    yield printable(f"try       grinder explain {shlex.quote(answer.changed[0].id)} --run {shlex.quote(answer.run)}")


def _told(told: Told) -> str:
    qty = f" {told.qty}" if told.qty is not None else ""
    if not told.outcome:
        return f"not known{', at most' + qty if qty else ''}"
    if not told.reason:
        return f"{told.outcome}, by which gate is not known"
    by = f" by {told.by}" if told.by else ""
    return f"{told.outcome}{qty if told.outcome == 'allowed' else ''}{by}: {told.reason}"
