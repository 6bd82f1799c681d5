"""Kinds of values that options take."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import click

LONGEST_NS: Final = 3650 * 86_400_000_000_000
UNITS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Duration(click.ParamType[int]):
    """A time span such as 90, 90s, 500ms, 15m, 2h, 1d; seconds when no unit is given."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Nanoseconds, above zero and up to ten years."""
        match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m|h|d|)", str(value).strip())
        ns = int(float(match[1]) * UNITS[match[2]] * 1e9) if match else 0
        if not 0 < ns <= LONGEST_NS:
            self.fail(f"{value!r} is no time span up to 3650d; write for instance 90s, 500ms, 15m or 2h", param, ctx)
        return ns


class Speed(click.ParamType[float]):
    """``max``, or a multiple of real time such as 1x or 10x."""

    name = "max|1x"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The multiple; 0 for as fast as it goes."""
        if value in {"max", 0.0}:
            return 0.0
        match = re.fullmatch(r"(\d{1,4}(?:\.\d{1,3})?)x", str(value))
        if match is None or float(match[1]) <= 0:
            self.fail(f"{value!r} is no speed; write max, 1x, or another multiple such as 10x", param, ctx)
        return float(match[1])


class Symbols(click.ParamType[tuple[str, ...]]):
    """Symbols with commas between; their case does not matter."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:  # noqa: ARG002 - click's signature
        """Upper case, in the order given."""
        return tuple(part.strip().upper() for part in str(value).split(",") if part.strip())


class Folder(click.Path):
    """A folder; an empty name is a variable of a shell that was not set, and no wish for the current folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        if value == "":
            self.fail("is empty; name a folder, or '.' for the current one", param, ctx)
        return super().convert(value, param, ctx)
