"""``grinder whatif RUN``: what recorded decisions would have been under other settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from grinder.cli.output import say, say_json
from grinder.cli.targets import check_target
from grinder.errors import ConfigError

if TYPE_CHECKING:
    from grinder.engine.plugins import Loaded
    from grinder.settings.saved import Saved
    from grinder.whatif.result import WhatIf
    from grinder.whatif.study import Study


@click.command()
@click.argument("run_dir", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Change one setting; may be repeated.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="YAML file with changed settings.")
@click.option("--plugins-dir", type=click.Path(path_type=Path), help="Folder with the single-file plugins of the run.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as one JSON object.")
@click.option("--limit", type=click.IntRange(0, 100_000), default=10, show_default=True,
              help="Changed decisions to list.")  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write every changed decision there, a JSON object a line."
)
def whatif(
    *,
    run_dir: Path,
    overrides: tuple[str, ...],
    config_file: Path | None,
    plugins_dir: Path | None,
    as_json: bool,
    limit: int,
    out: Path | None,
) -> None:
    """Judge the recorded decisions of RUN again under changed settings.

    RUN is the directory of a run. Its own settings hold except for what is changed here; environment variables and
    profiles are not looked at. Gates that offer a judge are judged anew from what they recorded; of the others the
    recorded answers stay. The orders themselves stay as they were, so position drift is not modelled.
    """
    if not (overrides or config_file):
        raise click.UsageError("say what to change: --set KEY=VALUE (may be repeated), or --config FILE")
    if not run_dir.is_dir():
        raise ConfigError(f"run directory {run_dir} does not exist; make one with 'grinder run --out {run_dir}'")
    check_target(out, "--out")
    from grinder.evidence.reading import RecordReader
    from grinder.settings.saved import SETTINGS, read_saved
    from grinder.whatif.notes import notes
    from grinder.whatif.study import Study
    from grinder.whatif.text import render

    saved = read_saved(run_dir / SETTINGS)
    base, changed = _load(saved, str(run_dir / SETTINGS), overrides, config_file, plugins_dir)
    reader = RecordReader(lambda text: say(f"warning: {text}", err=True))
    answer = _conduct(partial(Study, run_dir, base, changed, reader=reader, limit=limit), out)
    answer.notes = notes(run_dir, saved, base, changed) + answer.notes
    if as_json:
        say_json(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
    else:
        say(render(answer))
    if reader.corrupt is not None:
        raise reader.corrupt


def _load(
    saved: Saved, name: str, overrides: tuple[str, ...], config_file: Path | None, plugins_dir: Path | None
) -> tuple[Loaded, Loaded]:
    """What the run's own settings load, and what the changed ones do."""
    from grinder.engine.plugins import load
    from grinder.settings.sources import Sources

    layer = saved.layer(name)
    place = (f"host.plugins_dir={plugins_dir}",) if plugins_dir is not None else ()
    changed = Sources.over(layer, config=config_file, overrides=(*place, *overrides))
    return load(Sources.over(layer, overrides=place)), load(changed)


def _conduct(study: Callable[..., Study], out: Path | None) -> WhatIf:
    """Conduct the study; changed decisions go to ``out``, which is there whole or not at all."""
    from grinder.evidence.recorder import canonical
    from grinder.files import unwritable, whole_file

    if out is None:
        return study().conduct()
    try:
        with whole_file(out) as file:
            return study(each=lambda row: file.write(canonical(row) + b"\n")).conduct()
    except OSError as error:
        raise unwritable(out, error) from error
