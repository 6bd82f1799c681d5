"""Environment variables: how settings get their names, and the variables that have names of their own."""

from __future__ import annotations

from generator.markdown import page, table
from grinder.settings.environment import NAMED, Named

INTRO = """
Any setting can be set by a variable: `GRINDER_` and the key in capitals, with two underscores for each dot.
`GRINDER_GATES__EVALUATE=first_block` sets `gates.evaluate`; `GRINDER_PLUGINS__WARM_UP__SECONDS=30` sets
`plugins.warm_up.seconds`. Lists are written `a,b` or `["a","b"]`.

Any other `GRINDER_*` variable is an error that names the nearest valid one. Variables that container platforms
inject for a service called grinder (`GRINDER_SERVICE_HOST`, `GRINDER_PORT`, …) are ignored. In YAML files `${VAR}`
and `${VAR:-default}` are replaced.

The variables below have names that operators already know. Setting one whose reader is not enabled, or not part of
this version, is no error; `grinder config show` says so in a note. An empty one counts as not set. A flag is `1`,
`true`, `yes`, `on` or `0`, `false`, `no`, `off`, in any case.
"""


def build() -> str:
    """The page."""
    rows = ((f"`{name}`", _sets(meaning), "yes" if meaning.flag else "", meaning.reader)
            for name, meaning in NAMED.items())  # fmt: skip
    return page("Environment variables", INTRO, table(("variable", "sets", "flag", "read by"), rows))


def _sets(meaning: Named) -> str:
    return f"`{meaning.path}`" if meaning.path else "no setting"
