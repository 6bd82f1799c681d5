"""The ``grinder`` command. Help imports click and nothing else; each command is loaded when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from errno import ENAMETOOLONG
from importlib import import_module
from typing import Final

import click

from grinder.cli.output import say_error, show_click_error

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "compare": ("grinder.cli.compare:compare", "Say what differs between two runs, and where they part."),
    "config": ("grinder.cli.config:config", "Show, check and describe settings."),
    "data": ("grinder.cli.data:data", "Look at recordings: find gaps."),
    "explain": ("grinder.cli.explain:explain", "Say in plain sentences why an order was allowed or blocked."),
    "plugins": (
        "grinder.cli.plugins:plugins",
        "List, show, install and uninstall plugins; make new ones and check them.",
    ),
    "record": ("grinder.cli.record:record", "Store market data as a compact recording that replays exactly."),
    "report": ("grinder.cli.report:report", "Build the page of a run anew from its directory."),
    "run": ("grinder.cli.run:run", "Run a strategy through the gates on recorded or synthetic market data."),
    "whatif": ("grinder.cli.whatif:whatif", "Judge the decisions of a run again under changed settings."),
}
"""Where each command lives, and the line that help shows for it."""


class LazyGroup(click.Group):
    """Knows its commands by name and imports a command only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Core's commands, then those of installed distributions."""
        return [*sorted(COMMANDS), *sorted(plugin_commands())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        if cmd_name in COMMANDS:
            return load(COMMANDS[cmd_name][0])
        target = plugin_commands().get(cmd_name)
        return load(target) if target else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table of commands, without importing any."""
        rows = [(name, text) for name, (_, text) in sorted(COMMANDS.items())]
        rows += [(name, f"From {target.partition(':')[0]}.") for name, target in sorted(plugin_commands().items())]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, and with the nearest name when there is no such command."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), 1)
            if near:
                raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from None
            raise


def load(target: str) -> click.Command:
    """The command at ``module:attribute``."""
    module, _, attribute = target.partition(":")
    command = getattr(import_module(module), attribute)
    if not isinstance(command, click.Command):
        raise click.UsageError(f"{target} is {type(command).__name__}, not a click command")
    return command


def plugin_commands() -> dict[str, str]:
    """Commands that installed distributions add through the ``grinder.commands`` group, name to target.

    Reading all metadata properly costs more than the rest of ``--help``; so that is done only when a quick look
    finds the group in some distribution's entry points.
    """
    if not any(_mentions_commands(folder) for folder in sys.path):
        return {}
    from importlib.metadata import entry_points

    return {e.name: e.value for e in entry_points(group="grinder.commands") if e.name not in COMMANDS}


def _mentions_commands(folder: str) -> bool:
    try:
        names = [name for name in os.listdir(folder or ".") if name.endswith((".dist-info", ".egg-info"))]  # noqa: PTH208
    except OSError:
        return False
    for name in names:
        try:
            with open(os.path.join(folder, name, "entry_points.txt"), "rb") as file:  # noqa: PTH118, PTH123
                if b"[grinder.commands]" in file.read():
                    return True
        except OSError:
            continue
    return False


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="grinder-core", prog_name="grinder")
def cli() -> None:
    """Pre-trade gates for crypto trading: every order explained before it is sent.

    Start with ``grinder run``: a paper run on synthetic market data that needs no file, key or network.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; the exit code says what happened (0, 1, 2, 3, 4, 130)."""
    sys.exit(invoke(args))


def _told(error: Exception) -> int:
    """Say what was wrong; the exit code, 0 for an error that is a bug of ours."""
    from grinder.errors import GrinderError

    if isinstance(error, GrinderError):
        say_error(str(error))
        return error.exit_code
    if isinstance(error, OSError) and error.errno == ENAMETOOLONG:  # any look at such a path raises
        say_error(f"{str(error.filename)[:60]}...: {error.strerror}; name another place")
        return 2
    return 0


def invoke(args: Sequence[str] | None = None) -> int:
    """Run a command and turn what it raises into a line on stderr and an exit code."""
    try:
        result = cli.main(args=list(args) if args is not None else None, prog_name="grinder", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt) as stop:
        for note in getattr(stop.__cause__ or stop, "__notes__", ()):  # click makes an Abort of KeyboardInterrupt
            click.echo(note, err=True)
        return 130
    except click.ClickException as error:
        show_click_error(error)
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (for instance `| head`): point stdout elsewhere so that the flush at exit is quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        code = _told(error)
        if not code:
            raise
        return code
    return result if isinstance(result, int) else 0
