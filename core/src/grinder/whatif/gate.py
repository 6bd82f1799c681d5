"""One gate under changed settings: its recorded answers, taken over or judged anew."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import msgspec

from grinder.decisions import Abstain, Allow, Answer, Block, Fault, GateInfo, Mode, Shrink, Threshold, Verdict, Warn
from grinder.engine.gating import mode_for, with_threshold
from grinder.evidence.explain import GateRow, ThresholdRow
from grinder.gates.answers import is_plain, sound
from grinder.host.manager import GatePlugin
from grinder.settings.plugin import GateSettings
from grinder.whatif.watched import Watched

BYPASSED: Final = "GATE_BYPASSED"
WOULD_BLOCK: Final = "would_block"
_MOST_CASES: Final = 10_000


class _Case(msgspec.Struct, frozen=True):
    """What holds of the gate for one symbol and one recorded threshold: before in the run, and after."""

    info: GateInfo
    before: Any
    after: Any


class GateReview:
    """Answers for one gate.

    Args:
        plugin: the gate with the changed settings.
        base: its settings in the run; None when it was not loaded then.
        changed: its own fields that differ.

    Attributes:
        rejudged: recorded answers that were judged anew.
        kept: those that its ``judge`` did not reproduce under the run's own settings, so that they stay.
        read: fields of the settings that ``judge`` has read.
        overridden: thresholds that a plugin had resolved and that the changed setting replaces, by symbol.
    """

    def __init__(self, plugin: GatePlugin, base: GateSettings | None, changed: tuple[str, ...]) -> None:
        self.name = plugin.name
        self.changed = changed
        self.rejudged = 0
        self.kept = 0
        self.read: set[str] = set()
        self.overridden: dict[str, ThresholdRow] = {}
        self._plugin = plugin
        self.settings = plugin.settings
        self._base = base
        self._judge: Callable[[dict[str, Any], Any], Any] = plugin.judge or _no_judge
        self.judging = bool(changed) and plugin.judge is not None and base is not None
        self._cases: dict[tuple[str, ThresholdRow | None], _Case] = {}

    @property
    def unread(self) -> tuple[str, ...]:
        """Changed fields that no call of ``judge`` has looked at, so that nothing was judged by them."""
        return tuple(name for name in self.changed if name not in self.read) if self.judging else ()

    def mode(self, symbol: str) -> Mode:
        """Under the changed settings."""
        return mode_for(self.settings, symbol)

    def in_run(self, symbol: str) -> bool:
        """Whether the run asked the gate for the symbol."""
        return self._base is not None and mode_for(self._base, symbol) is not Mode.OFF

    def answer(self, row: GateRow, symbol: str, wanted: Decimal | None) -> tuple[GateInfo, Answer]:
        """The gate as it would be, and its answer in place of the recorded one; ``wanted`` is the quantity asked.

        Raises:
            ValueError: the record holds no verdict that there is.
        """
        case = self._cases.get((symbol, row.threshold)) or self._case(symbol, row.threshold)
        recorded = recorded_answer(row)
        if type(recorded) is Fault:
            blocking = recorded.held or self.settings.on_error != "allow"
            if blocking is not recorded.blocks:
                recorded = msgspec.structs.replace(recorded, blocks=blocking)
            return case.info, recorded
        return case.info, self._judged(row, recorded, case, wanted) if self.judging else recorded

    def _judged(self, row: GateRow, recorded: Answer, case: _Case, wanted: Decimal | None) -> Answer:
        inputs: dict[str, Any] = row.inputs
        again: Verdict | None
        judged: Answer
        bypassed = row.reason == BYPASSED and WOULD_BLOCK in inputs
        if bypassed:
            inputs = {key: value for key, value in inputs.items() if key != WOULD_BLOCK}
        try:
            again = self._ask(inputs, case.before, wanted)
            judged = self._ask(inputs, case.after, wanted)
        except (Exception, SystemExit):  # noqa: BLE001 - a judge is the plugin's code
            again, judged = None, recorded
        if not _same(again, row, bypassed=bypassed):
            self.kept += 1
            return recorded
        self.rejudged += 1
        if bypassed and type(judged) is Block:
            return recorded
        return judged

    def _ask(self, inputs: dict[str, Any], settings: Any, wanted: Decimal | None) -> Verdict:
        verdict = self._judge(inputs, settings)
        if type(verdict) is Allow and is_plain(verdict.inputs):
            return verdict
        return sound(verdict, self._plugin.reasons, wanted)

    def _case(self, symbol: str, threshold: ThresholdRow | None) -> _Case:
        """What holds for a symbol and a recorded threshold. A threshold that is not changed stays as it was."""
        settings, field = self.settings, self.settings.THRESHOLD
        before: Any = self._base
        after: Any = settings
        shown = None
        if threshold is not None and field:
            before = with_threshold(before, threshold.value) or before if before is not None else None
            if field in self.changed:
                shown = Threshold(float(getattr(settings, field)), settings.THRESHOLD_UNIT)
                if threshold.source not in {"", "settings"}:
                    self.overridden.setdefault(symbol, threshold)
            else:
                after = with_threshold(settings, threshold.value) or settings
                shown = Threshold(**msgspec.structs.asdict(threshold))
        info = GateInfo(self.name, mode_for(settings, symbol), settings.on_error, shown)
        if self.judging:
            after = Watched(after, self.read)
        if len(self._cases) >= _MOST_CASES:
            self._cases.clear()
        case = self._cases[symbol, threshold] = _Case(info, before, after)
        return case


def recorded_answer(row: GateRow) -> Answer:
    """The answer that a record tells of.

    Raises:
        ValueError: the verdict is none that there is, or lacks its quantity.
    """
    match row.verdict:
        case "allow":
            return Allow(row.inputs)
        case "block":
            return Block(row.reason, row.inputs)
        case "warn":
            return Warn(row.reason, row.inputs)
        case "abstain":
            return Abstain(row.reason, row.inputs)
        case "error":
            return Fault(row.reason, row.error, row.on_error != "allow", row.inputs, row.held)
        case "shrink" if row.qty is not None:
            return Shrink(row.qty, row.reason, row.inputs)
    raise ValueError(f"gate {row.gate!r} has no verdict that there is: {row.verdict!r}")


def _no_judge(_inputs: object, _settings: object) -> None:
    """Stands for a judge that is not offered; nobody asks it."""


def _same(again: Verdict | None, row: GateRow, *, bypassed: bool) -> bool:
    """Whether judging by the run's own settings says what the record says."""
    if again is None:
        return False
    if bypassed:
        return type(again) is Block and again.reason == row.inputs[WOULD_BLOCK]
    kind = type(again)
    if kind is Allow:
        return row.verdict == "allow"
    if kind is Shrink:
        return row.verdict == "shrink" and again.qty == row.qty and again.reason == row.reason  # type: ignore[union-attr]
    return row.verdict == _WORD[kind] and again.reason == row.reason  # type: ignore[union-attr]


_WORD: Final = {Block: "block", Warn: "warn", Abstain: "abstain"}
