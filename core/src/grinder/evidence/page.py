"""A page that stands alone: its frame, its style and script in it, tables and bars, everything from outside escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path

from grinder.evidence.text import printable


def e(value: object) -> str:
    """Text from anywhere, made harmless in a page: markup escaped, control characters made visible."""
    return escape(printable(value))


@cache
def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(sha256(text.encode()).digest()).decode()


def page(title: str, body: Iterable[str]) -> bytes:
    """A whole HTML document. Its policy allows this style and this script, by their hashes, and nothing else."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    text = "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">',
            f"<title>{e(title)}</title>\n<style>{style}</style>\n</head>\n<body>",
            _asset("marks.svg"),
            *body,
            f"<script>{script}</script>\n</body>\n</html>\n",
        )
    )
    return text.encode("utf-8", "backslashreplace")


def cards(rows: Iterable[tuple[str, str, str]]) -> str:
    """The figures that one looks at first: name, figure, and a line below it."""
    items = (
        f"<div><dt>{e(name)}</dt><dd>{e(figure)}<small>{e(below)}</small></dd></div>" for name, figure, below in rows
    )
    return f'<dl class="cards">{"".join(items)}</dl>'


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[object]], numbers: int) -> str:
    """A table whose rows become blocks on a narrow screen; columns 1 to ``numbers`` hold numbers."""

    def cells(row: Sequence[object]) -> str:
        first = f'<th role="rowheader" scope="row">{e(row[0])}</th>'
        rest = (
            f'<td role="cell" data-label="{e(header[n])}"{" class=n" if n <= numbers else ""}>{e(cell)}</td>'
            for n, cell in enumerate(row[1:], 1)
        )
        return f'<tr role="row">{first}{"".join(rest)}</tr>'

    body = "".join(cells(row) for row in rows)
    if not body:
        return f'<p class="none">{e(caption)}: none.</p>'
    heads = "".join(
        f'<th role="columnheader" scope="col"{" class=n" if 1 <= n <= numbers else ""}>{e(name)}</th>'
        for n, name in enumerate(header)
    )
    kind = " class=two" if len(header) == 2 else ""
    return (
        f'<table role="table"{kind}><caption>{e(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead><tbody role="rowgroup">{body}</tbody></table>'
    )


def bar(share: float, style: str = "c0") -> str:
    """A bar as long as a share of its place (0 to 1)."""
    return (
        f'<svg class="share" aria-hidden="true"><rect width="100%" height="100%" rx="3" class="track"/>'
        f'<rect class="{style}" width="{100 * min(max(share, 0.0), 1.0):.2f}%" height="100%" rx="3"/></svg>'
    )


def section(name: str, title: str, *parts: str) -> str:
    """A section that links can lead to."""
    head = f'<section id="{name}" aria-labelledby="{name}-h"><h2 id="{name}-h">{e(title)}</h2>'
    return f"{head}{''.join(parts)}</section>"
