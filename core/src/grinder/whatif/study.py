"""Streams a run's records through a review and adds up what would be different."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from grinder.decisions import VERDICT_NAMES, Allow, Mode
from grinder.engine.plugins import Loaded
from grinder.engine.surroundings import calm_collector
from grinder.evidence.explain import DecisionRow, decode_decision
from grinder.evidence.reading import RecordReader
from grinder.evidence.recorder import DECISIONS
from grinder.settings.plugin import GateSettings
from grinder.types import IntentKind
from grinder.whatif.changes import changes_between, not_modelled, own_fields
from grinder.whatif.effects import drifts, lost_fills
from grinder.whatif.gate import GateReview
from grinder.whatif.marks import ALLOWED, BLOCKED, TURNED, Marks
from grinder.whatif.result import GateReport, Key, Turned, WhatIf, counts, turned
from grinder.whatif.review import After, Review, Turn

UNGATED: Final = b'"gates":[]'
"""Stands in every record of a decision that no gate was asked about; in a string its quotes would be escaped."""
_BITS: Final = {Turn.BLOCKED: BLOCKED, Turn.ALLOWED: ALLOWED}


class _Head(msgspec.Struct, frozen=True, gc=False):
    """What is counted of a decision that no gate was asked about."""

    id: str
    outcome: str
    reason: str
    by: str


class Study:
    """One question to one run.

    Args:
        run: the run's directory.
        base: what its own settings load.
        changed: what the changed settings load.
        reader: reads the records.
        limit: changed decisions to keep in the answer.
        each: called with every changed decision.
    """

    def __init__(
        self,
        run: Path,
        base: Loaded,
        changed: Loaded,
        *,
        reader: RecordReader,
        limit: int = 10,
        each: Callable[[Turned], None] | None = None,
    ) -> None:
        self._run = run
        self._reader = reader
        self._limit = limit
        self._each = each
        self._marks = Marks()
        self._same: Counter[Key] = Counter()
        self._before: Counter[Key] = Counter()
        self._after: Counter[Key] = Counter()
        self._pairs: Counter[tuple[Any, ...]] = Counter()
        self._gate_before: Counter[Key] = Counter()
        self._gate_after: Counter[Key] = Counter()
        self._turns: Counter[Turn] = Counter()
        self._base_gates = {gate.name: gate.settings for gate in base.host.gates(base.settings.gates.order)}
        changes = changes_between(base.settings, changed.settings)
        self.review = review_of(changed, self._base_gates, changes_by_gate=lambda gate: own_fields(changes, gate))
        names = {gate.name for gate in self.review.gates} | self._base_gates.keys()
        self.answer = WhatIf(run=str(run), changes=changes, not_modelled=not_modelled(changes, names))

    def conduct(self) -> WhatIf:
        """Read everything.

        Raises:
            ConfigError: a file of the run is missing.
        """
        with calm_collector():
            self._decisions()
        self._unpair()
        answer = self.answer
        answer.turns = {turn.value: self._turns[turn] for turn in Turn if self._turns[turn]}
        answer.by_reason = counts(self._same + self._before, self._same + self._after)
        answer.by_gate = counts(self._gate_before, self._gate_after)
        answer.gates = self._gate_reports()
        answer.notes = [note for gate in self.review.gates for note in notes_of(gate)]
        if self.review.unasked:
            answer.notes.append(
                f"in {self.review.unasked:,} decisions gates were not asked in the run, since an earlier one had "
                "blocked; what they would have answered is not in the counts by gate"
            )
        answer.fills_lost = lost_fills(self._reader, self._run, self._marks)
        answer.drift = drifts(self._reader, self._run, self._marks)
        return answer

    def _decisions(self) -> None:
        path = self._run / DECISIONS
        head = msgspec.json.Decoder(_Head).decode
        same, answer, decide = self._same, self.answer, self.review.decide
        for number, line, ended in self._reader.lines(path):
            try:
                if UNGATED in line:
                    short = head(line)
                    same[short.outcome, short.by, short.reason] += 1
                else:
                    row = decode_decision(line)
                    after = decide(row)
                    answer.gated += 1
                    self._count(row, after)
            except (msgspec.DecodeError, ValueError, KeyError, ArithmeticError, RecursionError) as error:
                self._reader.unreadable(path, number, error, ended=ended)
                continue
            answer.decisions += 1
            answer.after_first_change += bool(answer.first_change)

    def _count(self, row: DecisionRow, after: After) -> None:
        if after.turn is Turn.SAME:
            self._same[row.outcome, row.by, row.reason] += 1
        else:
            self._turn(row, after)
        rows, infos, answers = row.gates, after.evaluation.gates, after.evaluation.answers
        if len(rows) == len(answers):
            pairs, symbol = self._pairs, row.order.symbol
            for was, info, said in zip(rows, infos, answers, strict=True):
                reason = "" if type(said) is Allow else said.reason  # type: ignore[union-attr]
                pairs[was.gate, was.mode, was.verdict, was.reason, info.name, symbol, type(said), reason] += 1
            return
        for was in rows:
            self._gate_before[was.gate, was.mode, was.verdict, was.reason] += 1
        for info, said in zip(infos, answers, strict=True):
            reason = "" if isinstance(said, Allow) else said.reason
            self._gate_after[info.name, info.mode.value, VERDICT_NAMES[type(said)], reason] += 1

    def _unpair(self) -> None:
        """From pairs of a recorded and a new answer to counts of each; one count a pair is what is quick."""
        mode_of = {gate.name: gate.mode for gate in self.review.gates}
        for (name, mode, verdict, reason, later, symbol, kind, later_reason), count in self._pairs.items():
            self._gate_before[name, mode, verdict, reason] += count
            self._gate_after[later, mode_of[later](symbol).value, VERDICT_NAMES[kind], later_reason] += count
        self._pairs.clear()

    def _turn(self, row: DecisionRow, after: After) -> None:
        self._before[row.outcome, row.by, row.reason] += 1
        self._after[after.outcome or "unknown", after.by, after.reason] += 1
        self._turns[after.turn] += 1
        answer = self.answer
        if after.turn is not Turn.REASON:
            self._marks.add(row.id, _BITS.get(after.turn, TURNED))
            answer.amendments += row.order.kind == IntentKind.AMEND
            if not answer.first_change:
                answer.first_change = row.id
                answer.after_first_change = -1  # this one does not follow itself
        if len(answer.changed) >= self._limit and self._each is None:
            return
        told = turned(row, after)
        if len(answer.changed) < self._limit:
            answer.changed.append(told)
        if self._each is not None:
            self._each(told)

    def _gate_reports(self) -> list[GateReport]:
        reports = [report_of(gate, self._base_gates.get(gate.name)) for gate in self.review.gates]
        known = {gate.name for gate in self.review.gates}
        removed = [name for name in self._base_gates if name not in known]
        return reports + [GateReport(gate=name, status="removed") for name in removed]


def review_of(
    changed: Loaded, base: dict[str, GateSettings], *, changes_by_gate: Callable[[str], tuple[str, ...]]
) -> Review:
    """The review under the changed settings."""
    plugins = changed.host.gates(changed.settings.gates.order)
    gates = [
        GateReview(plugin, _as(plugin.settings, base.get(plugin.name)), changes_by_gate(plugin.name))
        for plugin in plugins
    ]
    first_block = changed.settings.gates.evaluate == "first_block"
    return Review(gates, first_block=first_block, policies=changed.policies)


def notes_of(gate: GateReview) -> Iterator[str]:
    """What a reader should know of how the answers of a gate came about."""
    if gate.otherwise:
        yield (
            f"{gate.name}: {gate.otherwise:,} answers were given under other settings than settings.json tells; "
            "was the run resumed with changed ones?"
        )
    field = gate.settings.THRESHOLD
    for symbol, threshold in sorted(gate.overridden.items()):
        yield (
            f"plugins.{gate.name}.{field}: in the run {threshold.source} had resolved {threshold.value:g} for "
            f"{symbol}; the value given here is used in its place"
        )


def _as(like: GateSettings, settings: GateSettings | None) -> GateSettings | None:
    """The settings as an instance of the same class; a plugin from a file is another class each time it is loaded."""
    if settings is None or isinstance(settings, type(like)):
        return settings
    return type(like).model_validate(settings.model_dump())


def report_of(gate: GateReview, base: GateSettings | None) -> GateReport:
    """How the answers of a gate came about."""
    if gate.settings.mode is Mode.OFF:
        status = "removed" if base is not None and base.mode is not Mode.OFF else "off"
    elif base is None or base.mode is Mode.OFF:
        status = "absent"
    elif not gate.changed:
        status = "kept"
    else:
        status = "judged" if gate.judging else "no_judge"
    return GateReport(
        gate=gate.name,
        status=status,
        changed=gate.changed,
        not_judged=tuple(sorted(gate.unread)),
        rejudged=gate.rejudged,
        kept=gate.kept,
        faults=gate.faults,
    )
