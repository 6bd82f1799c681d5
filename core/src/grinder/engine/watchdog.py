"""A thread that ends the process when the loop stands still.

A synchronous gate that never returns stops everything, cancels included, and no budget can see it. The watchdog
dumps every stack to stderr and ends the process; the next start is recovery.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from collections.abc import Callable
from typing import Final

EXIT_CODE: Final = 3


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
        seen = self._beats
        while not self._done.wait(self._limit):
            if self._beats == seen:
                self._bark()
                return
            seen = self._beats

    def _bark(self) -> None:
        sys.stderr.write(
            f"WATCHDOG_EXPIRED limit_s={self._limit:g} action=exit\n"
            "The loop stood still: a gate, strategy or policy does not return. Start again to recover.\n"
        )
        sys.stderr.flush()
        faulthandler.dump_traceback(all_threads=True)
        self._end(EXIT_CODE)
