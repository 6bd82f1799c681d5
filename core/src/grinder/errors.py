"""Every error that grinder raises on purpose, and the exit code that the command line gives it.

::

    GrinderError
     ├─ ConfigError      2   settings, arguments, a named file that is missing: the operator mends them
     │   └─ PluginError  2   a plugin cannot be loaded or registered: its author or the operator mends it
     ├─ CallError        2   a program called its gatekeeper wrongly: its author mends it
     ├─ InputError       3   an input file is truncated, corrupt, reordered
     ├─ StateError       3   the journal or a state file is corrupt or locked: trading is refused
     ├─ VenueError       3   the exchange cannot be reached or refuses to serve
     └─ SafetyError      4   refused for safety: a permission to trade is missing

Messages say what was wrong, where, and what to do.
"""

from __future__ import annotations


class GrinderError(Exception):
    """Base of all; never raised itself."""

    exit_code = 3


class ConfigError(GrinderError):
    """Settings, arguments or a named file are wrong. Nothing has been started."""

    exit_code = 2


class PluginError(ConfigError):
    """A plugin was refused.

    Attributes:
        plugin: name of the plugin.
    """

    def __init__(self, plugin: str, message: str) -> None:
        super().__init__(f"plugin {plugin!r}: {message}")
        self.plugin = plugin


class CallError(GrinderError, ValueError):
    """A program called its gatekeeper with something that makes no sense. Nothing was changed by the call."""

    exit_code = 2


class InputError(GrinderError):
    """An input file is truncated, corrupt, reordered or of an unknown format.

    Attributes:
        path: the file.
        line: 1-based line, 0 when the whole file is meant.
    """

    def __init__(self, path: str, line: int, message: str) -> None:
        where = f"{path}, line {line}" if line else path
        super().__init__(f"{where}: {message}")
        self.path = path
        self.line = line


class StateError(GrinderError):
    """The journal or another state file is corrupt, locked, or belongs to another run."""


class VenueError(GrinderError):
    """An exchange cannot be reached or refuses to serve. Never the answer to one order."""


class SafetyError(GrinderError):
    """Refused for safety."""

    exit_code = 4
