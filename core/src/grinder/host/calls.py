"""One hook call, isolated: a plugin that raises or answers nonsense is counted and reported, and stops nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final, TypeAlias

import msgspec

from grinder.host.foreign import describe

OnFault: TypeAlias = Callable[[str, str, BaseException], None]
Trace: TypeAlias = Callable[[str], None]

SHOWN: Final = 200
"""Characters of an argument or result that a trace line shows."""


class Implementation(msgspec.Struct, frozen=True):
    """One plugin's function for one hook, and the arguments that it asked for."""

    plugin: str
    hook: str
    function: Callable[..., Any]
    argnames: tuple[str, ...]


class Answer(msgspec.Struct, frozen=True):
    """What came back: a value, or what went wrong (the value is then None)."""

    value: Any
    error: BaseException | None = None


class Caller:
    """Calls implementations.

    Args:
        trace: prints each call with its arguments and result.
        on_fault: told of each fault: plugin, hook, error.

    Attributes:
        faults: number of faults by plugin and hook.
    """

    def __init__(self, trace: Trace | None, on_fault: OnFault | None) -> None:
        self.trace = trace
        self.faults: dict[tuple[str, str], int] = {}
        self._on_fault = on_fault

    def call(self, implementation: Implementation, values: Mapping[str, Any], *accepted: type) -> Answer:
        """Call with the arguments asked for.

        Args:
            implementation: what to call.
            values: all arguments that the hook offers.
            accepted: classes that the answer may be of; none means that it is not looked at.
        """
        arguments = {name: values[name] for name in implementation.argnames}
        try:
            value = implementation.function(*arguments.values())
        except KeyboardInterrupt as stop:
            interrupted(stop, implementation.plugin, implementation.hook)
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a plugin raises, nobody else is stopped
            self._show(implementation, arguments, f"raised {describe(error)}")
            self.fault(implementation, error)
            return Answer(None, error)
        self._show(implementation, arguments, f"{value!r:.{SHOWN}}")
        if accepted and not isinstance(value, accepted):
            wanted = " or ".join("None" if kind is NoneType else kind.__name__ for kind in accepted)
            wrong = TypeError(f"answered {type(value).__name__}, must be {wanted}")
            self.fault(implementation, wrong)
            return Answer(None, wrong)
        return Answer(value)

    def fault(self, implementation: Implementation, error: BaseException) -> None:
        """Count and report."""
        key = (implementation.plugin, implementation.hook)
        self.faults[key] = self.faults.get(key, 0) + 1
        if self._on_fault is not None:
            self._on_fault(*key, error)

    def _show(self, implementation: Implementation, arguments: Mapping[str, Any], result: str) -> None:
        if self.trace is not None:
            shown = "".join(f" {name}={value!r:.{SHOWN}}" for name, value in arguments.items())
            self.trace(f"{implementation.hook} {implementation.plugin}{shown} -> {result}")


def interrupted(stop: KeyboardInterrupt, plugin: str, hook: str) -> None:
    """Note whom KeyboardInterrupt met: it ends everything, whether the operator or the plugin raised it."""
    BaseException.add_note(stop, f"interrupted in {hook} of plugin {plugin!r}")
