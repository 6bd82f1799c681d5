"""Reason codes of core and of the plugins that are shipped."""

from __future__ import annotations

from generator.markdown import page, prose, table
from generator.members import members
from grinder.host.discovery import PLUGINS
from grinder.reasons import ReasonRegistry

INTRO = """
Every decision that is not simply allowed carries one of these codes, and so does every answer of a gate that is not
`Allow`. A code keeps its meaning for ever. A plugin declares its own in `REASONS`; nobody can use a code that
belongs to somebody else, and a gate that answers with a code that neither it nor core declared is treated as failed
(`GATE_ERROR`). `summary.json` of a run holds the meaning of each code that occurred in it.
"""


def build() -> str:
    """The page."""
    registry = ReasonRegistry()
    for member in members(PLUGINS):
        registry.extend(member.name, getattr(member.load(), "REASONS", {}))
    owners = dict.fromkeys(owner for _, owner, _ in registry)
    return page("Reason codes", INTRO, *(_section(owner, registry) for owner in owners))


def _section(owner: str, registry: ReasonRegistry) -> str:
    rows = [(f"`{code}`", prose(meaning)) for code, of, meaning in registry if of == owner]
    return f"## {owner}\n\n" + table(("code", "meaning"), rows)
