"""One call at a time into a host that several threads of a program may share."""

from __future__ import annotations

import os
import threading
from decimal import Context, getcontext, setcontext

from grinder.engine.arithmetic import PLAIN
from grinder.errors import CallError


class Door:
    """A context manager around every call: one at a time, in plain arithmetic, and only while the host is open.

    Threads wait for one another. A call from inside a call (a gate or hook that calls back) would wait for ever, and
    a forked child would write to its parent's journal: both are refused. The caller's decimal context is put back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._pid = os.getpid()
        self._context: Context | None = None
        self.closed = False

    def __enter__(self) -> None:
        """Wait for other threads.

        Raises:
            CallError: the host is closed, or belongs to another process, or the call comes from inside another.
        """
        if not self._open():
            raise CallError("this gatekeeper is closed: open it again with Gatekeeper.from_settings")

    def shut(self) -> bool:
        """Enter for the last time: nobody does afterwards. False, and nobody is inside, when it was shut before.

        Raises:
            CallError: the host belongs to another process, or the call comes from inside another.
        """
        entered = self._open()
        self.closed = True
        return entered

    def _open(self) -> bool:
        me = threading.get_ident()
        if os.getpid() != self._pid:
            raise CallError("this gatekeeper belongs to the parent process: open one after the fork, not before")
        if self._inside == me:
            raise CallError("called from inside a call, by a gate or a hook: they answer, and call nothing")
        self._lock.acquire()
        if self.closed:
            self._lock.release()
            return False
        self._inside = me
        self._context = getcontext()
        setcontext(PLAIN.copy())
        return True

    def __exit__(self, *_: object) -> None:
        """Let the next thread in."""
        if self._context is not None:
            setcontext(self._context)
        self._context, self._inside = None, 0
        self._lock.release()
