"""``grinder data``: what is in recordings, before anything is run on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from grinder.cli.output import say, say_json
from grinder.errors import ConfigError

if TYPE_CHECKING:
    from grinder.feeds.gaps import Report


@click.group()
def data() -> None:
    """Look at recordings."""


@data.command()
@click.option("--root", type=click.Path(path_type=Path), required=True, help="A recording, or a folder of recordings.")
@click.option("--threshold-ms", type=click.IntRange(1, 10**12), default=60_000, show_default=True,
              help="Silences of a symbol longer than this are gaps.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), help="Also write the gaps there, as a JSON list.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def gaps(root: Path, threshold_ms: int, output: Path | None, as_json: bool) -> int:
    """Find silences in recordings of any format, symbol by symbol.

    Exit code 1 when there is a gap, 2 when there is no recording, 3 when one cannot be read or differs from its
    sidecars, 0 otherwise. Files that are no recordings are passed over and named.
    """
    import msgspec

    from grinder.cli.targets import check_target
    from grinder.feeds.gaps import scan
    from grinder.files import write_atomic

    check_target(output, "--output")
    report = scan(root, threshold_ms)
    if output is not None:
        _check_no_input(output, report)
        write_atomic(output, msgspec.json.format(msgspec.json.encode(report.gaps)) + b"\n")
    if as_json:
        say_json(msgspec.json.encode(report).decode())
    else:
        _show(report)
    if report.errors:
        return 3
    return 1 if report.gaps else 0


def _check_no_input(output: Path, report: Report) -> None:
    """Refuse to replace what was scanned.

    Raises:
        ConfigError: the file is one of the recordings, readable or not.
    """
    for name in (*report.scanned, *(problem.file for problem in report.errors)):
        if output.exists() and Path(name).exists() and output.samefile(name):
            raise ConfigError(f"--output {output} is one of the recordings that were scanned; name another file")


def _show(report: Report) -> None:
    from grinder.evidence.text import printable, table
    from grinder.log import utc

    rows = [
        (row.symbol, f"{row.gap_ms:,}", utc(row.ts_start * 1_000_000), utc(row.ts_end * 1_000_000), row.file)
        for row in report.gaps
    ]
    if rows:
        for line in table(("symbol", "gap ms", "from", "to", "file"), rows, 0):
            say(line)
        say("")
    for problem in report.errors:
        say(f"error: {printable(problem.message)}", err=True)
    for path in report.passed_over:
        say(f"note: {printable(path)} is no recording", err=True)
    silences = f"{len(report.gaps)} gaps longer than {report.threshold_ms:,} ms"
    say(f"{silences} in {len(report.scanned)} recordings, {len(report.errors)} errors")
