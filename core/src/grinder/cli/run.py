"""``grinder run``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grinder.cli.output import progress, say, say_json
from grinder.cli.params import Duration, Folder, Speed, Symbols
from grinder.errors import ConfigError

if TYPE_CHECKING:
    from grinder.engine.options import RunOptions


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--profile", help="Settings to start from: paper, testnet, live. Default paper.")
@click.option("--config", type=click.Path(path_type=Path), help="A settings file; it holds over the profile.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="One setting; may be given many times.")
@click.option("--secrets-dir", type=click.Path(path_type=Path), help="Folder of files that hold one secret each.")
@click.option("--symbols", type=Symbols(), default="", help="Comma-separated; default: those of the recording.")
@click.option("--replay", multiple=True, type=click.Path(path_type=Path), help="A recording; may be given many times. "
              "Without one the embedded synthetic market is used.")  # fmt: skip
@click.argument("more_recordings", nargs=-1, type=click.Path(path_type=Path), metavar="[RECORDING]...")
@click.option("--speed", type=Speed(), default="max", help="max, or a multiple of real time. Default max.")
@click.option("--duration", type=Duration(), help="End after this much event time, such as 90s or 15m.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True,
              help="Of the synthetic market and all else that is drawn.")  # fmt: skip
@click.option("--data-dir", type=Folder(), help="State of the instance. Default: fresh, under --out.")
@click.option("--resume", is_flag=True, help="Go on with the state in the data directory.")
@click.option("--out", type=Folder(), help="Where the evidence goes. Default runs/PROFILE.")
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
    from grinder.evidence.screen import render
    from grinder.evidence.summary import SUMMARY

    options = _options(given)
    session = Session.open(options)
    with progress() as session.progress:
        summary = session.run()
    if options.as_json:
        say_json((session.out / SUMMARY).read_text())
    else:
        say(render(summary, session.out))
    return session.exit_code


def _options(given: dict[str, Any]) -> RunOptions:
    from grinder.engine.options import RunOptions

    replay = (*given.pop("replay"), *given.pop("more_recordings"))
    if given["resume"] and given["data_dir"] is None and given["out"] is None:
        raise ConfigError("--resume needs to know what to resume: give --data-dir, or the --out of the earlier run")
    if given["log_file"] is not None:
        from grinder.cli.targets import check_not_kept

        check_not_kept(given["log_file"], "--log-file")
    return RunOptions(replay=replay, **given)
