"""Everything that is shipped beside core: each member's own README."""

from __future__ import annotations

from collections.abc import Iterator

from generator.markdown import page
from generator.members import ROOT, Member, members
from grinder.host.discovery import EXCHANGES, PLUGINS, POLICIES, STRATEGIES

INTRO = """
The READMEs of the members that are shipped with grinder. `grinder plugins show NAME` prints settings, reason codes
and hooks of anything that is installed. The paper exchange has [a page of its
own](../explanation/paper-exchange.md).
"""


def build() -> str:
    """The page."""
    return page("Plugins and policies", INTRO, *map(_readme, _wanted()))


def _wanted() -> Iterator[Member]:
    for group in (PLUGINS, STRATEGIES, POLICIES, EXCHANGES):
        yield from (member for member in members(group) if member.name != "paper")


def _readme(member: Member) -> str:
    return f"```{{include}} ../../{member.folder.relative_to(ROOT).as_posix()}/README.md\n:heading-offset: 1\n```"
