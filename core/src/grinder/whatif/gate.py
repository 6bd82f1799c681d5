"""One gate under changed settings: its recorded answers, taken over or judged anew."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec

from grinder.decisions import (
    VERDICT_NAMES,
    Abstain,
    Allow,
    Answer,
    Block,
    Fault,
    GateInfo,
    Mode,
    Shrink,
    Threshold,
    Warn,
)
from grinder.engine.gating import mode_for, with_threshold
from grinder.evidence.explain import GateRow, ThresholdRow
from grinder.gates.answers import UnsoundError, describe, is_plain, sound
from grinder.host.gate_plugin import GatePlugin
from grinder.settings.plugin import GateSettings
from grinder.whatif.watched import Watched

BYPASSED: Final = "GATE_BYPASSED"
WOULD_BLOCK: Final = "would_block"
_MOST_CASES: Final = 10_000


_Key: TypeAlias = tuple[str, float | None, str]


class _Case(msgspec.Struct, frozen=True):
    """What holds of the gate for one symbol and one recorded threshold: settings before and after, mode in the run.

    ``otherwise`` says that the recorded threshold is not the one that the run's settings tell.
    """

    info: GateInfo
    before: Any
    after: Any
    mode: str
    otherwise: bool


class GateReview:
    """Answers for one gate.

    Args:
        plugin: the gate with the changed settings.
        base: its settings in the run; None when it was not loaded then.
        changed: its own fields that differ.

    Attributes:
        rejudged: recorded answers that were judged anew.
        kept: those that its ``judge`` does not reproduce under the run's own settings, or for which it raises, so
            that they stay.
        unread: changed fields that no call of ``judge`` has looked at, so that nothing was judged by them.
        faults: those that the host had given in the gate's place; other settings do not undo them.
        otherwise: those given under other settings than the run's: it was resumed with changed ones.
        overridden: thresholds that a plugin had resolved and that the changed setting replaces, by symbol.
    """

    def __init__(self, plugin: GatePlugin, base: GateSettings | None, changed: tuple[str, ...]) -> None:
        self.name = plugin.name
        self.changed = changed
        self.rejudged = 0
        self.kept = 0
        self.faults = 0
        self.otherwise = 0
        self.overridden: dict[str, ThresholdRow] = {}
        self._plugin = plugin
        self.settings = plugin.settings
        self._base = base
        self._judge: Callable[[dict[str, Any], Any], Any] = plugin.judge or _no_judge
        self.judging = bool(changed) and plugin.judge is not None and base is not None
        self.unread = set(changed) if self.judging else set()
        self._cases: dict[_Key, _Case] = {}

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
        threshold = row.threshold
        key = (symbol, threshold.value, threshold.source) if threshold is not None else (symbol, None, "")
        case = self._cases.get(key)
        if case is None:
            case = self._case(key, threshold)
        if case.otherwise or row.mode != case.mode:
            self.otherwise += 1
        if row.verdict == "error":
            self.faults += self.judging
            return case.info, self._fault(row)
        if self.judging:
            judged = self._judged(row, case, wanted)
            if judged is not None:
                return case.info, judged
        return case.info, recorded_answer(row)

    def _fault(self, row: GateRow) -> Fault:
        """A fault stays one; what it does follows ``on_error``."""
        return Fault(row.reason, row.error, row.held or self.settings.on_error != "allow", row.inputs, row.held)

    def _judged(self, row: GateRow, case: _Case, wanted: Decimal | None) -> Answer | None:
        """The new answer; None where the recorded one stays."""
        inputs: dict[str, Any] = row.inputs
        said = row.reason
        bypassed = said == BYPASSED and WOULD_BLOCK in inputs
        if bypassed:
            said = inputs[WOULD_BLOCK]
            inputs = {key: value for key, value in inputs.items() if key != WOULD_BLOCK}
        try:
            again = self._judge(inputs, case.before)
            known = _WORDS.get(type(again)) == ("block" if bypassed else row.verdict)
            if not (known and (type(again) is Allow or again.reason == said) and _qty(again) == row.qty):
                self.kept += 1
                return None
            judged: Answer = self._judge(inputs, case.after)
            if type(judged) is not Allow or not (judged.inputs is inputs or is_plain(judged.inputs)):
                judged = self._checked(judged, wanted)
        except (Exception, SystemExit):  # noqa: BLE001 - a judge is the plugin's code
            self.kept += 1
            return None
        self.rejudged += 1
        if self.unread:
            with contextlib.suppress(Exception, SystemExit):
                self._judge(inputs, Watched(case.after, self.unread))
        return None if bypassed and type(judged) is Block else judged

    def _checked(self, judged: object, wanted: Decimal | None) -> Answer:
        """The answer if it is well formed, else the fault that the engine would make of it."""
        try:
            return sound(judged, self._plugin.reasons, wanted)
        except UnsoundError as error:
            held = isinstance(judged, Block)
            return Fault(error.reason, describe(error), held or self.settings.on_error != "allow", held=held)

    def _case(self, key: _Key, threshold: ThresholdRow | None) -> _Case:
        """What holds for a symbol and a recorded threshold. A threshold that is not changed stays as it was."""
        symbol, settings, field = key[0], self.settings, self.settings.THRESHOLD
        before: Any = self._base
        after: Any = settings
        shown = None
        mode = mode_for(self._base, symbol).value if self._base is not None else ""
        otherwise = False
        if threshold is not None and field:
            configured = threshold.source in {"", "settings"}
            otherwise = configured and before is not None and float(getattr(before, field)) != threshold.value
            before = with_threshold(before, threshold.value) or before if before is not None else None
            if field in self.changed:
                shown = Threshold(float(getattr(settings, field)), settings.THRESHOLD_UNIT)
                if not configured:
                    self.overridden.setdefault(symbol, threshold)
            else:
                after = with_threshold(settings, threshold.value) or settings
                shown = Threshold(**msgspec.structs.asdict(threshold))
        info = GateInfo(self.name, mode_for(settings, symbol), settings.on_error, shown)
        if len(self._cases) >= _MOST_CASES:
            self._cases.clear()
        case = self._cases[key] = _Case(info, before, after, mode, otherwise)
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
        case "shrink" if row.qty is not None and row.qty.is_finite():
            return Shrink(row.qty, row.reason, row.inputs)
    raise ValueError(f"gate {row.gate!r} has no verdict that there is: {row.verdict!r}")


def _no_judge(_inputs: object, _settings: object) -> None:
    """Stands for a judge that is not offered; nobody asks it."""


def _qty(verdict: object) -> Decimal | None:
    return verdict.qty if type(verdict) is Shrink else None


_WORDS: Final[Mapping[type, str]] = {kind: word for kind, word in VERDICT_NAMES.items() if kind is not Fault}
