"""Sees what code does that a pure function does not: reads the clock, draws randomness, touches files, prints.

Only for a process of its own: audit hooks cannot be taken off again, and the time functions stay replaced.
"""

from __future__ import annotations

import _thread
import datetime as dt
import io
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Self

CLOCKS: Final = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
BARE_CLOCKS: Final = ("localtime", "gmtime", "ctime")
"""They read the clock when they are called without an argument."""

EVENTS: Final = (
    ("open", "opens a file"),
    ("import", "imports a module"),
    ("socket.", "uses the network"),
    ("subprocess.", "starts a process"),
    ("os.", "calls the operating system"),
    ("shutil.", "touches files"),
    ("tempfile.", "touches files"),
    ("pathlib.", "touches files"),
    ("glob.", "looks for files"),
    ("sqlite3.", "opens a database"),
    ("urllib.", "uses the network"),
    ("http.", "uses the network"),
    ("ctypes.", "calls foreign code"),
    ("builtins.input", "waits for input"),
)
"""Audit events that are noted, by how they begin, and what they mean."""


class Watch:
    """Notes what is done while it is ``armed``. Make it before the code that is watched is imported.

    Attributes:
        armed: whether anything is noted.
        seen: what was, each once, in order.
    """

    def __init__(self) -> None:
        self.armed = False
        self.seen: list[str] = []
        sys.addaudithook(self._audit)
        self._watch_clocks()
        self._watch_randomness()
        self._watch_environment()
        self._watch_threads()

    def __enter__(self) -> Self:
        """Arm; what is printed is noted and goes nowhere."""
        self._streams = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = _Stream(self)
        self.armed = True
        return self

    def __exit__(self, *_: object) -> None:
        """Disarm."""
        self.armed = False
        sys.stdout, sys.stderr = self._streams

    def note(self, what: str) -> None:
        """Note one thing, if armed."""
        if self.armed and what not in self.seen:
            self.seen.append(what)

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.armed:
            return
        for prefix, meaning in EVENTS:
            if event.startswith(prefix):
                first = f": {args[0]!r:.100}" if args and isinstance(args[0], str | bytes | int) else ""
                self.note(f"{meaning} ({event}{first})")
                return

    def _wrapped(self, function: Callable[..., Any], what: str, *, bare: bool = False) -> Callable[..., Any]:
        def watched(*args: Any, **options: Any) -> Any:
            if not (bare and args):
                self.note(what)
            return function(*args, **options)

        return watched

    def _watch_clocks(self) -> None:
        names = [*CLOCKS, *(f"{name}_ns" for name in CLOCKS), *BARE_CLOCKS]
        for name in names:
            wrapped = self._wrapped(getattr(time, name), f"reads the clock (time.{name})", bare=name in BARE_CLOCKS)
            setattr(time, name, wrapped)
        time.sleep = self._wrapped(time.sleep, "sleeps")
        for kind, methods in ((dt.datetime, ("now", "utcnow", "today")), (dt.date, ("today",))):
            setattr(dt, kind.__name__, _watched_type(kind, methods, self))

    def _watch_randomness(self) -> None:
        for name in random.__all__:
            function = getattr(random, name)
            if isinstance(getattr(function, "__self__", None), random.Random):
                setattr(random, name, self._wrapped(function, f"draws randomness (random.{name})"))
        os.urandom = self._wrapped(os.urandom, "draws randomness (os.urandom)")
        random._urandom = os.urandom  # type: ignore[attr-defined]  # noqa: SLF001 - SystemRandom and secrets call it

    def _watch_environment(self) -> None:
        kind: Any = type(os.environ)
        kind.__getitem__ = self._wrapped(kind.__getitem__, "reads the environment (os.environ)")

    def _watch_threads(self) -> None:
        start: Any = self._wrapped(threading.Thread.start, "starts a thread")
        threading.Thread.start = start  # type: ignore[method-assign]
        _thread.start_new_thread = self._wrapped(_thread.start_new_thread, "starts a thread")


def _watched_type(kind: type, methods: tuple[str, ...], watch: Watch) -> type:
    """A subclass whose constructors that read the clock are noted; its instances and the plain ones are alike."""

    class Alike(type(kind)):  # type: ignore[misc]
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, kind)

    def watched(method: str) -> classmethod[Any, Any, Any]:
        def read(_cls: type, *args: Any) -> Any:
            watch.note(f"reads the clock ({kind.__name__}.{method})")
            return getattr(kind, method)(*args)

        return classmethod(read)

    return Alike(kind.__name__, (kind,), {method: watched(method) for method in methods})


class _Stream(io.TextIOBase):
    """Swallows what is printed."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def write(self, text: str) -> int:
        """Note that something was printed."""
        self._watch.note("prints")
        return len(text)
