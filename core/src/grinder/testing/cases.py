"""The conformance cases, in the order in which they are tried. A number keeps its meaning for ever."""

from __future__ import annotations

from typing import Final

from grinder.testing import answered, declared, isolated, listening
from grinder.testing.results import Case, Result, Status

__all__ = ["CASES", "Case", "Result", "Status"]

GATE: Final = ("pre_order_gate",)

CASES: Final = (
    Case("GC01", "implements hooks as they are", declared.hooks),
    Case("GC02", "type hints agree", declared.hints),
    Case("GC03", "declares its API range", declared.api),
    Case("GC04", "has one name", declared.name),
    Case("GC05", "settings are documented and closed", declared.settings),
    Case("GC06", "defaults are valid and off", declared.defaults),
    Case("GC07", "settings mount and have a schema", declared.schema),
    Case("GC08", "settings are read", declared.read),
    Case("GC09", "reasons are well formed", declared.reasons),
    Case("GC10", "imports public names only", declared.imports),
    Case("GC11", "answers with verdicts", answered.verdicts, GATE),
    Case("GC12", "never raises", answered.raises, GATE),
    Case("GC13", "reasons are declared", answered.reasons, GATE),
    Case("GC14", "inputs can be recorded", answered.inputs, GATE),
    Case("GC15", "shrinks only shrink", answered.shrinks, GATE),
    Case("GC16", "changes nothing it is given", answered.untouched, GATE),
    Case("GC17", "remembers nothing", answered.memory, GATE),
    Case("GC18", "answers alike in every process", isolated.fresh, GATE),
    Case("GC19", "does nothing but judge", isolated.pure, GATE),
    Case("GC20", "missing data follows on_error", answered.missing, GATE),
    Case("GC21", "keeps its budget", answered.budget, GATE),
    Case("GC22", "judge repeats the answer", answered.judged, ("judge",)),
    Case("GC23", "takes every fill", listening.fills, ("on_fill",)),
    Case("GC24", "plans for what was reported", listening.plans, ("on_reconcile",)),
    Case("GC25", "resolves to finite thresholds", listening.thresholds, ("resolve_threshold",)),
    Case("GC26", "starts and stops cleanly", isolated.life, isolated.LIFE),
    Case("GC27", "proposes sound intents", listening.strategy, ("strategy",)),
)
