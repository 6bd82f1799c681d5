"""Exit codes, and the errors that grinder raises on purpose."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from generator.markdown import first_line, page, table
from grinder import errors

CODES = {
    0: "Done.",
    1: "A check failed, or the order path met an error: a strategy raised, records were lost, the journal could not be "
    "written.",
    2: "Usage or configuration: wrong arguments or settings, a named file or plugin that is missing, an id that "
    "`grinder explain` does not find.",
    3: "Runtime: an input file that turns out damaged, state that is corrupt or in use, a venue out of reach, "
    "the watchdog, an installer that failed.",
    4: "Refused for safety, a missing permission to trade among it.",
    130: "Interrupted at the keyboard; a run flushes everything first.",
}

INTRO = """
Bad input never gives a traceback: the command prints `error:` and one message that says what was wrong, where, and
what to do, and ends with an exit code. A traceback is a bug in grinder.
"""


def build() -> str:
    """The page."""
    codes = table(("exit code", "meaning"), ((str(number), text) for number, text in CODES.items()))
    found = table(("error", "is a", "exit code", "when"), _rows())
    return page("Exit codes and errors", INTRO, codes, "## Errors\n\nAll can be imported from `grinder`.", found)


def _rows() -> Iterator[tuple[str, ...]]:
    for name, error in inspect.getmembers(errors, inspect.isclass):
        if error.__module__ == errors.__name__:
            base = error.__bases__[0].__name__
            yield f"`{name}`", f"`{base}`", str(error.exit_code), first_line(error.__doc__)
