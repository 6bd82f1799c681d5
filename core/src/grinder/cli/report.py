"""``grinder report RUN``: the page of a run, built anew from its directory."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from grinder.cli.output import say, say_json
from grinder.cli.run_dirs import check_run, warn
from grinder.cli.targets import check_target


@click.command()
@click.argument("run_dir", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Where the page goes. Default report.html in RUN.")
@click.option("--json", "as_json", is_flag=True, help="Print where the page is, and what could not be shown, as JSON.")
def report(run_dir: Path, out: Path | None, as_json: bool) -> None:
    """Build report.html of a run from what is in its directory.

    The page is the same, byte for byte, as the one that the run wrote. It is built as well for a run that was
    killed, or whose files are damaged: what is missing is said on the page and on stderr. The exit code is 3 when
    a file is corrupt.
    """
    from grinder.evidence.report import write_report
    from grinder.evidence.summary import REPORT
    from grinder.evidence.text import printable

    check_run(run_dir)
    page = out if out is not None else run_dir / REPORT
    check_target(page, "--out", page_of=run_dir)
    gathered = write_report(run_dir, page)
    if as_json:
        facts = {
            "run_id": gathered.summary.run_id,
            "page": str(page),
            "bytes": page.stat().st_size,
            "complete": not gathered.problems,
            "problems": gathered.problems,
        }
        say_json(msgspec.json.format(msgspec.json.encode(facts), indent=2).decode())
    else:
        say(printable(page))
    warn(gathered, str(run_dir))
    if gathered.corrupt is not None:
        raise gathered.corrupt
