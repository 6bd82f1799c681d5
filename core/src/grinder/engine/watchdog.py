"""A thread that ends the process when the loop stands still.

A synchronous gate that never returns stops everything, cancels included, and no budget can see it. The watchdog
dumps every stack to stderr and ends the process with exit code 3; the next start is recovery. Code that holds the
interpreter's lock for ever, such as a runaway regular expression, stops this thread, too: then the interpreter's
own timer, which needs no lock, dumps the stacks after twice the limit and ends the process with exit code 1.
"""

from __future__ import annotations

import faulthandler
import os
import threading
from collections.abc import Callable
from typing import Final

EXIT_CODE: Final = 3
LOOKS: Final = 4
"""How often the beat is looked at within the limit; that many idle looks in a row mean that the loop stands still."""

STDERR: Final = 2


class Watchdog:
    """Watches a beat that the loop sets.

    Args:
        limit_s: how long the loop may stand still, in seconds of real time; 0 switches the watchdog off.
        end: what ends the process; tests replace it.
    """

    def __init__(self, limit_s: float, end: Callable[[int], object] = os._exit) -> None:
        self._limit = limit_s
        self._end = end
        self._done = threading.Event()
        self._beats = 0
        self._thread: threading.Thread | None = None

    def beat(self) -> None:
        """The loop is alive."""
        self._beats += 1

    def start(self) -> None:
        """Begin to watch."""
        if self._limit > 0:
            self._thread = threading.Thread(target=self._watch, name="grinder-watchdog", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        seen, idle = self._beats, 0
        while idle < LOOKS:
            faulthandler.dump_traceback_later(2 * self._limit, exit=True, file=STDERR)
            if self._done.wait(self._limit / LOOKS):
                faulthandler.cancel_dump_traceback_later()
                return
            idle = idle + 1 if self._beats == seen else 0
            seen = self._beats
        faulthandler.cancel_dump_traceback_later()
        self._bark()

    def _bark(self) -> None:
        """Say why, and end; a stderr that nobody reads must not stop the end."""
        speaker = threading.Thread(target=self._speak, daemon=True)
        speaker.start()
        speaker.join(timeout=1.0)
        self._end(EXIT_CODE)

    def _speak(self) -> None:
        text = (
            f"WATCHDOG_EXPIRED limit_s={self._limit:g} action=exit\n"
            "The loop stood still: a gate, strategy or policy does not return. Start again to recover.\n"
        )
        os.write(STDERR, text.encode())
        faulthandler.dump_traceback(file=STDERR, all_threads=True)
