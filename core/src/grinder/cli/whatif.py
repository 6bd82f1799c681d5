"""``grinder whatif RUN``: what recorded decisions would have been under other settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from grinder.errors import ConfigError, StateError

if TYPE_CHECKING:
    from grinder.engine.plugins import Loaded
    from grinder.settings.saved import Saved
    from grinder.whatif.result import WhatIf
    from grinder.whatif.study import Study

RECORDS: Final = frozenset(
    ("decisions.jsonl", "fills.jsonl", "markouts.jsonl", "metrics.prom", "report.html", "settings.json", "summary.json")
)


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
    if out is not None and _belongs_to(out, run_dir):
        raise ConfigError(f"--out {out}: that is a run's own file, or one that stands in its directory; choose another")
    from grinder.evidence.reading import RecordReader
    from grinder.settings.saved import SETTINGS, read_saved
    from grinder.whatif.notes import notes
    from grinder.whatif.study import Study
    from grinder.whatif.text import render

    saved = read_saved(run_dir / SETTINGS)
    base, changed = _load(saved, str(run_dir / SETTINGS), overrides, config_file, plugins_dir)
    reader = RecordReader(lambda text: click.echo(f"warning: {text}", err=True))
    answer = _conduct(partial(Study, run_dir, base, changed, reader=reader, limit=limit), out)
    answer.notes = notes(run_dir, saved, base, changed) + answer.notes
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
    else:
        click.echo(render(answer))
    if reader.corrupt is not None:
        raise reader.corrupt


def _belongs_to(out: Path, run_dir: Path) -> bool:
    """Whether a file could be one that a run needs."""
    return out.name in RECORDS or (out.exists() and out.resolve().is_relative_to(run_dir.resolve()))


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
    """Conduct the study; changed decisions go to ``out`` as they come."""
    from grinder.evidence.lines import LineFile
    from grinder.evidence.recorder import canonical

    if out is None:
        return study().conduct()
    file = LineFile(out)
    try:
        answer = study(each=lambda row: file.append(canonical(row))).conduct()
    finally:
        file.close()
    if file.error or file.lost:
        raise StateError(file.error)
    return answer
