"""One call at a time into a host that several threads of a program may share."""

from __future__ import annotations

import os
import sys
import threading
from decimal import Context, getcontext, setcontext
from functools import partial
from itertools import compress
from types import FrameType, TracebackType
from typing import Final

from grinder.engine.arithmetic import PLAIN
from grinder.errors import CallError

ONCE: Final = (True,)
PATIENCE_S: Final = 0.1
"""How long a thread waits before it looks again whether the call that is inside still runs."""


class ClosedError(CallError):
    """The host was closed before."""


class Door:
    """A context manager around every call: one at a time, in plain arithmetic, and only while the host is open.

    Threads wait for one another. A call from inside a call (a gate or hook that calls back) would wait for ever, and
    a forked child would write to its parent's journal: both are refused. The caller's decimal context is put back.

    A signal handler of the program may raise anywhere, between any two lines of this file too. Whatever it interrupts,
    the next call gets in.

    Attributes:
        closed: whether the host is.
        changing: whether the call that is inside has begun to change anything; the call says so.
        broken: whether a call ended in the middle of a change, so that memory may differ from the journal.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._try = partial(self._lock.acquire, timeout=0)
        self._wait = partial(self._lock.acquire, timeout=PATIENCE_S)
        # The frame that is inside, if any. It is noted by the one call that takes the lock, and forgotten in one step
        # with giving it back; so a frame that is noted here and runs no longer never gave the lock back.
        self._inside: list[FrameType] = []
        self._pid = os.getpid()
        self._context: Context | None = None
        self.closed = False
        self.changing = False
        self.broken = False

    def __enter__(self) -> None:
        """Wait for other threads.

        Raises:
            CallError: the host is closed, or belongs to another process, or the call comes from inside another.
        """
        if os.getpid() != self._pid:
            raise CallError("this gatekeeper belongs to the parent process: open one after the fork, not before")
        caller = sys._getframe(1)  # noqa: SLF001 - documented, and the only way to know who is inside
        try:
            self._take(caller)
            self._refuse_closed()
            self.changing = False
            self._context = getcontext()
            setcontext(PLAIN.copy())
        except BaseException:
            if self._inside and self._inside[0] is caller:
                del self._inside[:]
                self._lock.release()
            raise

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        """Let the next thread in."""
        try:
            if kind is not None and self.changing and not issubclass(kind, CallError):
                self.broken = True
            if self._context is not None:
                setcontext(self._context)
                self._context = None
        except BaseException:
            self.broken = self.broken or self.changing
            raise
        finally:
            del self._inside[:]
            self._lock.release()

    def _refuse_closed(self) -> None:
        if self.closed:
            raise ClosedError("this gatekeeper is closed: open it again with Gatekeeper.from_settings")

    def _take(self, caller: FrameType) -> None:
        # Python looks for signals between calls, not inside one of the interpreter's own: taking the lock and noting
        # who has it happen together, or not at all.
        self._inside.extend(compress((caller,), map(self._try, ONCE)))
        while not (self._inside and self._inside[0] is caller):
            self._look(caller)
            self._inside.extend(compress((caller,), map(self._wait, ONCE)))

    def _look(self, caller: FrameType) -> None:
        """Refuse a call from inside a call, and put out a call that ended without leaving."""
        inside = self._inside[:1]
        frame: FrameType | None = caller
        while frame is not None:
            if frame in inside:
                raise CallError("called from inside a call, by a gate or a hook: they answer, and call nothing")
            frame = frame.f_back
        for left in inside:
            if _ended(left):
                self._put_out(left)

    def _put_out(self, left: FrameType) -> None:
        """The exception came just as the call was leaving: what it did is not trusted."""
        self.broken = self.broken or self.changing
        try:
            self._inside.remove(left)
        except ValueError:  # another thread was faster
            return
        except BaseException:
            self._lock.release()
            raise
        self._lock.release()


def _ended(frame: FrameType) -> bool:
    """Whether a frame runs no longer, on whatever thread."""
    try:
        frame.clear()
    except RuntimeError:  # it is executing
        return False
    return True
