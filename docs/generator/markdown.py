"""Pieces of Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

MADE = "<!-- Made from the code by docs/generate.py: change the code, then run it. -->"


def page(title: str, *parts: str) -> str:
    """A whole page."""
    return "\n\n".join([f"# {title}", MADE, *(part.strip("\n") for part in parts if part)]) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar inside a cell does not end it."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(value: object) -> str:
    """Something as it is typed; nothing for what is empty."""
    text = str(value)
    return f"`{text}`" if text else ""


def block(language: str, text: str) -> str:
    """A fenced block."""
    return f"```{language}\n{text.strip()}\n```"


def prose(text: str) -> str:
    """Text of a docstring or a description, in Markdown."""
    text = re.sub(r":\w+:(?=`)", "", inspect.cleandoc(text))
    text = re.sub(r"``(.+?)``", r"`\1`", text)
    return re.sub(r"<(?![^`]*`)", r"\\<", text)


def first_line(text: str | None) -> str:
    """The first sentence or paragraph of a docstring, in one line."""
    return " ".join(prose(text or "").partition("\n\n")[0].split())
