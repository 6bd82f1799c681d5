"""Whether what a gate answered is well formed: a verdict, its declared reason, inputs that can be recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from math import isfinite
from types import NoneType
from typing import Any, Final

import msgspec

from grinder.decisions import Abstain, Allow, Block, Input, Inputs, Shrink, Verdict, Warn
from grinder.host import foreign

MOST: Final = 64
"""Inputs that an answer may have."""

ROOM: Final = 4096
"""Characters that the names and texts of an answer's inputs may have in all: records are written for every order."""

BRIEF: Final = ROOM // MOST // 2
"""Characters of a name or text that need not be added up."""

NAMES: Final = 4096
"""Names of inputs that are kept as known to be brief: more than gates have, and all that one can fill up."""

SHOWN: Final = 80
"""Characters of a plugin's value that a message shows."""

BITS: Final = 63
"""Size of an integer that a record keeps; longer ones cannot always be written as text."""

_VERDICTS: Final = frozenset((Allow, Warn, Shrink, Block, Abstain))
_SMALL: Final = Decimal(0).__sizeof__()
"""Bytes of a Decimal of few enough digits to be no matter (76 in CPython), whatever its exponent."""


def _never(_value: object) -> bool:
    return False


def _always(_value: object) -> bool:
    return True


def _short(value: int) -> bool:
    return value.bit_length() <= BITS


def _brief(text: str) -> bool:
    return len(text) <= BRIEF and text.isascii()


def _named(name: str) -> bool:
    """Whether a name can be recorded as it is; it is then known, while there is room for it."""
    if len(_NAMES) == NAMES or not _brief(name):
        return False
    _NAMES.add(name)
    return True


def _plain_decimal(value: Decimal) -> bool:
    return value.is_finite() and value.__sizeof__() <= _SMALL


_FITS: Final[Mapping[type, Callable[[Any], bool]]] = {
    str: _brief,
    int: _short,
    Decimal: _plain_decimal,
    bool: _always,
    NoneType: _always,
}
"""Whether a value of exactly that type can be recorded as it is; ``is_plain`` looks at floats itself."""


_NAMES: Final[set[str]] = set()


class UnsoundError(Exception):
    """An answer is not well formed. ``reason`` is the code of the fault that it becomes."""

    def __init__(self, text: str, reason: str = "GATE_ERROR") -> None:
        super().__init__(text)
        self.reason = reason


def is_plain(inputs: Inputs) -> bool:
    """Whether inputs can be recorded as they are: a dict of brief ASCII names to finite numbers, text, bool or None.

    It is asked for every gate and order, so what it lets through is within ``MOST`` and ``ROOM`` without being added
    up; of longer names and texts ``sound`` decides.
    """
    if type(inputs) is not dict or len(inputs) > MOST:
        return False
    for key in inputs:
        if type(key) is not str or (key not in _NAMES and not _named(key)):
            return False
        value = inputs[key]
        if type(value) is float:
            if not isfinite(value):
                return False
        elif not _FITS.get(type(value), _never)(value):
            return False
    return True


def sound(answer: Any, reasons: frozenset[str], wanted: Decimal | None) -> Verdict:
    """The answer in plain form: exact types only, so that nothing of the plugin runs when it is recorded.

    Args:
        answer: whatever a gate returned.
        reasons: the codes that it may give.
        wanted: quantity of the order, above which nothing can be shrunk to.

    Raises:
        UnsoundError: the answer is not well formed. What the answer's own objects raise passes through.
    """
    kind = type(answer)
    if kind not in _VERDICTS:
        raise UnsoundError(f"returned {kind.__name__} instead of a verdict")
    changes: dict[str, Any] = {}
    if kind is not Allow and (type(answer.reason) is not str or answer.reason not in reasons):
        changes["reason"] = _declared(answer.reason, reasons)
    if kind is Shrink and not _shrinks(answer.qty, wanted):
        raise UnsoundError(f"shrinks to {_shown(answer.qty)}, not between zero and the order's {wanted}")
    if not is_plain(answer.inputs):
        changes["inputs"] = _plain_inputs(answer.inputs)
    verdict: Verdict = msgspec.structs.replace(answer, **changes) if changes else answer
    return verdict


def describe(error: BaseException) -> str:
    """What an exception says, fit for a record; what is wrong with an answer, without the name of an exception."""
    return foreign.line(str(error)) if type(error) is UnsoundError else foreign.describe(error)


def _declared(reason: object, reasons: frozenset[str]) -> str:
    text = _plain(reason)
    if not isinstance(text, str) or text not in reasons:
        raise UnsoundError(f"reason {_shown(reason)} is not declared in the plugin's REASONS")
    return text


def _shrinks(qty: object, wanted: Decimal | None) -> bool:
    return type(qty) is Decimal and qty.is_finite() and wanted is not None and 0 < qty < wanted


def _plain_inputs(inputs: Mapping[object, object]) -> dict[str, Input]:
    """The inputs as a dict of exact types, so that enums, numpy floats and read-only mappings may be given, too."""
    if not isinstance(inputs, Mapping):
        raise UnsoundError(f"inputs are {type(inputs).__name__}, must be a dict")
    plain: dict[str, Input] = {}
    room = ROOM
    for key, value in inputs.items():
        name, known = _plain(key), _plain(value)
        if not isinstance(name, str) or known is _UNFIT:
            raise UnsoundError(
                f"input {_shown(key)} is {type(value).__name__}, must be a 64-bit number, text, bool or None"
            )
        if isinstance(known, float | Decimal) and not Decimal(known).is_finite():
            raise UnsoundError(f"input {name} is {known}", "INPUT_NONFINITE")
        room -= len(name) + _length(known)
        if room < 0 or len(plain) == MOST:
            raise UnsoundError(
                f"inputs are more than fit in a record at {_shown(name)}: at most {MOST}, their names and texts at "
                f"most {ROOM} characters in all",
                "INPUT_OVERSIZE",
            )
        plain[name] = known
    return plain


def _length(value: Input) -> int:
    """Characters that count; an ordinary number has too few to matter."""
    if isinstance(value, Decimal):
        return 0 if _plain_decimal(value) else len(str(value))
    return len(value) if isinstance(value, str) else 0


_UNFIT: Final[Any] = object()


def _plain(value: object) -> Any:
    """The value as a number, encodable text, bool or None of exactly that type; ``_UNFIT`` for anything else."""
    if value is None or type(value) is bool:
        return value
    if isinstance(value, str):
        return str.__str__(value).encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int):
        number = int(value)
        return number if _short(number) else _UNFIT
    if isinstance(value, float):
        return float(value)
    return Decimal(value) if isinstance(value, Decimal) else _UNFIT


def _shown(value: object) -> str:
    """A value in a message: itself where it is plain and so says the same in every replay, else its type."""
    plain = _plain(str.__str__(value)[:SHOWN] if isinstance(value, str) else value)
    return type(value).__name__ if plain is _UNFIT else f"{plain!r:.{SHOWN}}"
