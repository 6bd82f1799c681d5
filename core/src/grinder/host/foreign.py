"""What foreign code raises and says: caught whatever it is, and told in one short line that steers no terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from grinder.errors import PluginError
from grinder.evidence.text import printable

SHOWN: Final = 300
"""Characters that are kept of an exception's text, of a reason's sentence, of what a plugin says of its health."""

_READ: Final = 8 * SHOWN
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")


class CrashError(Exception):
    """Foreign code raised. The text says what; ``__cause__`` is what it raised."""


def attempt(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call foreign code. Only KeyboardInterrupt passes through, since that is the operator's.

    Raises:
        CrashError: it raised.
    """
    try:
        return function(*arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise CrashError(describe(error)) from error


@contextmanager
def refusing(plugin: str, doing: str, refusal: type[PluginError] = PluginError) -> Iterator[None]:
    """Refuse a plugin for whatever is raised inside that is no refusal yet.

    Args:
        plugin: name, for the message.
        doing: what is being done, for the message.
        refusal: what is raised.

    Raises:
        PluginError: something was raised.
    """
    try:
        yield
    except (PluginError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise refusal(plugin, f"{doing} raised {describe(error)}") from error


def line(text: str, shown: int = SHOWN) -> str:
    """A foreign text in one line of at most ``shown`` characters, with what does not print made visible.

    Line ends, other controls and what turns the direction of writing appear as escapes, so it can be encoded, too.
    """
    whole = printable(str.__str__(text)[: shown + 1])
    return whole if len(whole) <= shown else whole[: shown - 3] + "..."


def describe(error: BaseException) -> str:
    """What an exception says, fit for a record: one short line, and without addresses, which no replay repeats."""
    kind = type.__getattribute__(type(error), "__name__")
    try:
        text = f"{kind}: {error}"
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - the text of a plugin's exception is the plugin's code
        text = f"{kind}, whose text cannot be read"
    return line(_ADDRESS.sub("", text[:_READ]))
