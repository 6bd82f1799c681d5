"""What commands print. Words from outside go to a terminal only in a form that cannot steer it."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from io import StringIO

import click


def say(text: object, *, err: bool = False) -> None:
    """Print lines; control characters other than line ends are made visible.

    Args:
        text: what to print. Line ends within foreign words are to be escaped before, with ``printable``.
        err: on stderr, with lines after the first set in.
    """
    click.echo(_set_in(str(text)) if err else "\n".join(_visible(str(text))), err=err)


def say_json(text: str) -> None:
    """Print the text of a JSON value; what a terminal might obey is escaped as JSON does it, so it means the same."""
    click.echo("".join(c if c.isprintable() or c == "\n" else _json_escape(c) for c in text.rstrip("\n")))


def say_error(message: str) -> None:
    """Print what went wrong."""
    click.echo(_set_in(f"error: {message}"), err=True)


def show_click_error(error: click.ClickException) -> None:
    """Print what click found wrong, usage and hints included, after the word that all our errors begin with."""
    message = error.format_message()
    text = _set_in(message)
    if text != message:
        error = click.UsageError(text, error.ctx) if isinstance(error, click.UsageError) else click.ClickException(text)
    shown = StringIO()
    error.show(shown)
    click.echo(re.sub("^Error: ", "error: ", shown.getvalue(), count=1, flags=re.MULTILINE), err=True, nl=False)


def _set_in(text: str) -> str:
    """The text with lines after the first set in, so that no name it quotes can pass for a line of ours."""
    return "\n       ".join(_visible(text))


def _visible(text: str) -> Iterator[str]:
    from grinder.evidence.text import printable

    return (printable(line) for line in text.split("\n"))


def _json_escape(char: str) -> str:
    import json

    return json.dumps(char)[1:-1] if char != "\x7f" else "\\u007f"


@contextlib.contextmanager
def progress() -> Iterator[Callable[[int, int], None] | None]:
    """A line that tells how far a feed has come, until the block ends; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from grinder.log import utc

    def show(now_ns: int, events: int) -> None:
        click.echo(f"\r{utc(now_ns, 0)}  {events:,} events", nl=False, err=True)

    try:
        yield show
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)
