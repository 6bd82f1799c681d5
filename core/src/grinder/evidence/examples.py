"""Decisions worth reading, chosen while all of them stream by: a few of each kind, spread over the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from grinder.evidence.explain import DecisionRow, explain, wanted
from grinder.evidence.page import e
from grinder.evidence.thinning import Thinned
from grinder.log import utc

PER_KIND: Final = 4
KINDS: Final = 48
MOST: Final = 90
"""Examples on a page."""

_LONGEST_LINE: Final = 1 << 15
_LONGEST_TEXT: Final = 6000
_EVENTS: Final = 12


class Example:
    """One decision, with what came after it."""

    __slots__ = ("fills", "line", "markout", "row")

    def __init__(self, row: DecisionRow, line: bytes) -> None:
        self.row = row
        self.line = line
        self.fills: list[dict[str, Any]] = []
        self.markout: dict[str, Any] | None = None

    def fill(self, line: bytes) -> None:
        """One of its fills, as it stands in ``fills.jsonl``."""
        if len(self.fills) < _EVENTS:
            self.fills.append(msgspec.json.decode(line))

    def html(self, meaning: Callable[[str], str]) -> str:
        """The decision in one line, that opens the text of ``grinder explain``."""
        row = self.row
        text = self._explained(meaning)
        if len(text) > _LONGEST_TEXT:
            text = f"{text[:_LONGEST_TEXT]}\n... the rest: grinder explain {row.id}"
        return (
            f'<details class="example"><summary><time>{e(utc(row.ts_ns, 0)[11:19])}</time> '
            f'<span class="{outcome_style(row.outcome)}">{e(row.outcome)}</span> '
            f"<span>{e(_title(row))}</span></summary><pre>{e_lines(text)}</pre></details>"
        )

    def _explained(self, meaning: Callable[[str], str]) -> str:
        events = [*self.fills, *([self.markout] if self.markout is not None else [])]
        try:
            return explain(msgspec.json.decode(self.line), meaning, events)
        except (ValueError, TypeError, ArithmeticError, AttributeError, msgspec.MsgspecError) as error:
            return f"This record is not one of a run ({error}):\n{self.line.decode(errors='replace')}"


class Examples:
    """Keeps examples by kind: outcome, reason, and the first gate that said anything but allow."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, str, str], Thinned[tuple[DecisionRow, bytes]]] = {}
        self.chosen: dict[str, Example] = {}

    def offer(self, row: DecisionRow, line: bytes) -> None:
        """Look at one decision."""
        if len(line) > _LONGEST_LINE:
            return
        said = next(((gate.gate, gate.verdict) for gate in row.gates if gate.verdict != "allow"), ("", ""))
        kind = (row.outcome, row.reason, *said)
        kept = self._kinds.get(kind)
        if kept is None:
            if len(self._kinds) >= KINDS:
                return
            kept = self._kinds[kind] = Thinned(PER_KIND)
        kept.add((row, line))

    def choose(self) -> None:
        """Settle on the examples of the page: one of each kind, then a second, ...; the unsent before the sent."""
        kinds = sorted(self._kinds.items(), key=lambda item: item[0][0] == "allowed")
        rounds = (kept.items[n] for n in range(PER_KIND) for _, kept in kinds if n < len(kept.items))
        for (row, line), _ in zip(rounds, range(MOST), strict=False):
            self.chosen.setdefault(row.id, Example(row, line))

    def of(self, outcome_allowed: bool, reason: str = "") -> Iterator[Example]:
        """The examples of orders that were sent, or of a reason for which they were not, by time."""
        found = [
            example
            for example in self.chosen.values()
            if (example.row.outcome == "allowed") is outcome_allowed and (not reason or example.row.reason == reason)
        ]
        yield from sorted(found, key=lambda example: (example.row.ts_ns, example.row.id))


def outcome_style(outcome: str) -> str:
    """The style of an outcome; that of a blocked order for one that we do not know."""
    return "sent" if outcome == "allowed" else "stopped"


def e_lines(text: str) -> str:
    """Lines of text, each made harmless."""
    return "\n".join(e(line) for line in text.split("\n"))


def _title(row: DecisionRow) -> str:
    text = wanted(row.order)
    if row.outcome != "allowed" and row.by:
        text += f" \N{EM DASH} stopped by {row.by}"
    shadows = [gate.gate for gate in row.gates if gate.verdict == "block" and gate.mode != "enforce"]
    text += f" \N{EM DASH} {', '.join(shadows)} would have blocked it" if shadows else ""
    shrunk = row.outcome == "allowed" and row.first_pass and row.qty is not None
    return text + (f" \N{EM DASH} shrunk to {row.qty}" if shrunk else "")
