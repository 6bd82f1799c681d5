"""``grinder run``: the main job."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grinder.errors import ConfigError

if TYPE_CHECKING:
    from grinder.engine.options import RunOptions

LONGEST_NS = 3650 * 86_400_000_000_000
UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


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


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--profile", help="Settings to start from: paper, testnet, live. Default paper.")
@click.option("--config", type=click.Path(path_type=Path), help="A settings file; it holds over the profile.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="One setting; may be given many times.")
@click.option("--secrets-dir", type=click.Path(path_type=Path), help="Folder of files that hold one secret each.")
@click.option("--symbols", default="", help="Comma-separated; default: those of the recording.")
@click.option("--replay", multiple=True, type=click.Path(path_type=Path), help="A recording; may be given many times. "
              "Without one the embedded synthetic market is used.")  # fmt: skip
@click.argument("more_recordings", nargs=-1, type=click.Path(path_type=Path), metavar="[RECORDING]...")
@click.option("--speed", type=Speed(), default="max", help="max, or a multiple of real time. Default max.")
@click.option("--duration", type=Duration(), help="End after this much event time, such as 90s or 15m.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True,
              help="Of the synthetic market and all else that is drawn.")  # fmt: skip
@click.option("--data-dir", type=click.Path(path_type=Path), help="State of the instance. Default: fresh, under --out.")
@click.option("--resume", is_flag=True, help="Go on with the state in the data directory.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the evidence goes. Default runs/PROFILE.")
@click.option("--plugins-dir", type=click.Path(path_type=Path), help="Folder with single-file plugins.")
@click.option("--no-plugin", multiple=True, metavar="NAME", help="Do not load this plugin; may be given many times.")
@click.option("--metrics-host", help="Address of /metrics, /healthz, /readyz, /plugins.json. Default 127.0.0.1.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Their port; 0 takes a free one. A replay at full "
              "speed serves them only when asked.")  # fmt: skip
@click.option("--log-file", type=click.Path(path_type=Path), help="Write the log there besides stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, and log JSON lines.")
@click.option("--tolerant", is_flag=True, help="Skip and count damaged input instead of stopping at it.")
def run(**given: Any) -> int:
    """Run a strategy through the gates on market data, and leave evidence.

    Market data is replayed from recordings or comes from the embedded synthetic market; orders that the gates
    admit go to the paper exchange. The evidence is summary.json, decisions.jsonl, fills.jsonl, metrics.prom,
    timeline.jsonl and report.html in --out.
    """
    from grinder.engine.session import Session
    from grinder.evidence.summary import render

    options = _options(given)
    progress = _progress() if sys.stderr.isatty() else None
    session = Session.open(options)
    session.progress = progress
    summary = session.run()
    if progress is not None:
        click.echo("\r\x1b[K", nl=False, err=True)
    if options.as_json:
        click.echo((session.out / "summary.json").read_text(), nl=False)
    else:
        click.echo(render(summary, session.out))
    return session.exit_code


def _options(given: dict[str, Any]) -> RunOptions:
    from grinder.engine.options import RunOptions

    symbols = tuple(s.strip().upper() for s in given.pop("symbols").split(",") if s.strip())
    replay = (*given.pop("replay"), *given.pop("more_recordings"))
    if given["resume"] and given["data_dir"] is None and given["out"] is None:
        raise ConfigError("--resume needs to know what to resume: give --data-dir, or the --out of the earlier run")
    if given["log_file"] is not None:
        from grinder.cli.targets import check_not_kept

        check_not_kept(given["log_file"], "--log-file")
    return RunOptions(symbols=symbols, replay=replay, **given)


def _progress() -> Callable[[int, int], None]:
    from grinder.log import utc

    def show(now: int, events: int) -> None:
        click.echo(f"\r{utc(now, 0)}  {events:,} events", nl=False, err=True)

    return show
