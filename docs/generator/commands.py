"""The command line: the help of every command, as it is printed."""

from __future__ import annotations

from collections.abc import Iterator

import click

from generator.markdown import block, page
from grinder.cli.main import COMMANDS, cli, load

WIDTH = 100

INTRO = """
Every command answers to `--help`. Tables and progress are for people; where a command has `--json` it prints one
JSON document instead. Nothing is coloured, and nothing waits for input when there is no terminal. What the exit
codes mean: [exit codes and errors](errors.md). An installed distribution can add commands of its own through the
entry-point group `grinder.commands`; they show up in `grinder --help`.
"""


def build() -> str:
    """The page."""
    sections = (f"## {name}\n\n" + block("text", text) for name, text in helps())
    return page("Command line", INTRO, *sections)


def helps() -> Iterator[tuple[str, str]]:
    """Name and help of every command, groups before what is in them."""
    yield "grinder", _help(cli, "grinder")
    for name in sorted(COMMANDS):
        yield from _walk(load(COMMANDS[name][0]), f"grinder {name}")


def _walk(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    yield name, _help(command, name)
    if isinstance(command, click.Group):
        for each in sorted(command.commands):
            yield from _walk(command.commands[each], f"{name} {each}")


def _help(command: click.Command, name: str) -> str:
    context = click.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
    return command.get_help(context)
