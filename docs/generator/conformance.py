"""The conformance cases, from the code that tries them."""

from __future__ import annotations

import inspect
import re

from generator.markdown import page, prose, table
from grinder.testing.answered import PATIENCE
from grinder.testing.cases import CASES, Case
from grinder.testing.strategies import EDGES, SCENES

INTRO = f"""
What a plugin is held to, case by case. [`grinder plugins check`](command-line.md#grinder-plugins-check) tries them from
the command line, and [`GateConformance`](testing.md) as tests. A number keeps its meaning. A case that does not apply
(a gate case for a strategy, say) is skipped and says why.

The cases about answers ask the gate in {len(EDGES)} situations that are always looked at and {SCENES} that
hypothesis generates, with the default settings and with each of the plugin's own settings at the ends of its range.
They are asked as a run asks: where market data is missing, stale, broken or not finite the host does not call a gate
that asks for `market`, so only GC12 does. Hypothesis draws with a fixed seed and keeps no database; it also tries
numbers that it finds in the plugin's own source.

What the cases cannot show: that a gate stops what it should. That is for its own tests. GC19 sees what Python's audit
hooks and replaced functions see; code in C that does otherwise is not seen. GC21 measures on the machine that it runs
on and fails at {PATIENCE} budgets.
"""


def build() -> str:
    """The page."""
    rows = [(f"[{case.number}](#{case.number.lower()})", case.title, _who(case)) for case in CASES]
    sections = (
        f"## {case.number}\n\n**{_sentence(case.title)}** {prose(case.requirement)}\n\nTo mend it: {_advice(case)}"
        for case in CASES
    )
    return page("Conformance cases", INTRO, table(("case", "in short", "applies to"), rows), *sections)


def _who(case: Case) -> str:
    """What a plugin must have for the case to apply."""
    return " or ".join(f"`{part}`" for part in case.needs) or "every plugin"


def _advice(case: Case) -> str:
    """The advice as it stands in the docstring, so that code stays code."""
    return prose(" ".join(inspect.cleandoc(case.check.__doc__ or "").partition("\n\nMend: ")[2].split()))


def _sentence(title: str) -> str:
    return re.sub(r"^.", lambda first: first[0].upper(), title) + "."
