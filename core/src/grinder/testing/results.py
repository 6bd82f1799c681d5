"""What a conformance case says of a plugin."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from grinder.gates.answers import describe

if TYPE_CHECKING:
    from grinder.testing.subject import Subject


class Status(enum.StrEnum):
    """PASS and FAIL speak for themselves; SKIP is a case that does not apply to the plugin."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    SKIP = "skip"


class Failed(Exception):  # noqa: N818 - raised inside cases only
    """The plugin does not conform; the text says what was seen."""


class Skipped(Exception):  # noqa: N818
    """The case does not apply; the text says why."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One case's answer.

    Attributes:
        case: its number, like ``GC07``.
        title: what it asks for, in a few words.
        status: pass, fail or skip.
        why: one sentence: what was looked at, what was wrong, or why it does not apply.
        advice: what to do when it failed, else empty.
    """

    case: str
    title: str
    status: Status
    why: str
    advice: str = ""

    def __str__(self) -> str:
        """One line."""
        advice = f" To mend it: {self.advice}" if self.advice else ""
        return f"{self.case} {self.status.upper()} {self.title}: {self.why}{advice}"


class Case(msgspec.Struct, frozen=True):
    """One numbered requirement.

    Attributes:
        number: like ``GC07``.
        title: what it asks for, in a few words.
        check: returns what it looked at, or raises ``Failed`` or ``Skipped``.
        needs: hooks, ``judge`` or ``strategy``, one of which a plugin must have for the case to apply.
    """

    number: str
    title: str
    check: Callable[[Subject], str]
    needs: tuple[str, ...] = ()

    @property
    def requirement(self) -> str:
        """What it asks for, in full: the docstring of ``check`` up to its advice."""
        return inspect.cleandoc(self.check.__doc__ or "").partition("\n\nMend: ")[0]

    @property
    def advice(self) -> str:
        """What to do when it fails."""
        mend = inspect.cleandoc(self.check.__doc__ or "").partition("\n\nMend: ")[2]
        return " ".join(mend.replace("``", "").split())

    @property
    def test_name(self) -> str:
        """The name of the test method that runs it."""
        return f"test_{self.number.lower()}_{self.title.replace(' ', '_').replace('-', '_').lower()}"

    def applies(self, subject: Subject) -> bool:
        """Whether a plugin has what the case is about."""
        return not self.needs or any(subject.has(part) for part in self.needs)

    def run(self, subject: Subject) -> Result:
        """Try it on a plugin. Only KeyboardInterrupt passes through."""
        try:
            if not self.applies(subject):
                raise Skipped(f"it has no {' or '.join(self.needs)}")  # noqa: TRY301 - a case that skips does the same
            status, why, advice = Status.PASS, self.check(subject), ""
        except Skipped as skipped:
            status, why, advice = Status.SKIP, str(skipped), ""
        except Failed as failed:
            status, why, advice = Status.FAIL, str(failed), self.advice
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - what the plugin is made of broke the case itself
            status, why, advice = Status.FAIL, f"trying it raised {describe(error)}", self.advice
        return Result(case=self.number, title=self.title, status=status, why=why, advice=advice)
