"""``grinder compare RUN RUN``: what differs between two runs, and where they part."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from grinder.cli.output import say, say_json
from grinder.cli.run_dirs import check_run, warn
from grinder.cli.targets import check_target

if TYPE_CHECKING:
    from grinder.evidence.comparison import Comparison, Figure

_LINES: Final = 60
_NAME: Final = 44
_VALUE: Final = 36
"""Columns of a name and of each of two values: together with what is between them 120."""


@click.command()
@click.argument("one", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("other", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Write a page with both runs there, such as compare.html.")
@click.option("--fail-on-difference", is_flag=True, help="Exit with 1 when the runs differ.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as one JSON object.")
def compare(one: Path, other: Path, out: Path | None, fail_on_difference: bool, as_json: bool) -> int:
    """Compare two runs: figures, what they were given, and the first decision at which they part.

    Runs differ when a decision, a fill, a payment or a figure differs, or cannot be compared. Measured times do not
    count, nor do settings and inputs by themselves: what changes nothing is no difference.
    """
    from grinder.evidence.comparison import Comparison

    check_run(one)
    check_run(other)
    check_target(out, "--out")
    comparison = Comparison(one, other)
    names = (str(one), str(other))
    if out is not None:
        from grinder.evidence.compare_page import write_comparison

        write_comparison(comparison, names, out)
    if as_json:
        say_json(_as_json(comparison, names, out))
    else:
        say("\n".join(_text(comparison, names, out)))
    for gathered, name in zip((comparison.a, comparison.b), names, strict=True):
        warn(gathered, name)
    corrupt = comparison.a.corrupt or comparison.b.corrupt
    if corrupt is not None:
        raise corrupt
    return int(fail_on_difference and not comparison.same)


def _text(c: Comparison, names: tuple[str, str], out: Path | None) -> Iterator[str]:
    from grinder.evidence.compare_page import in_words, verdict
    from grinder.evidence.text import printable, table

    for letter, name, run in zip("AB", names, (c.a, c.b), strict=True):
        yield f"{letter}         {printable(name)}, {printable(run.summary.run_id)}"
    yield verdict(c)
    if c.given:
        given = [(_short(f"{g.kind} {g.key}", _NAME), _short(g.a), _short(g.b)) for g in c.given]
        yield from ("", *table(("given", "A", "B"), given[:_LINES], 0))
        if len(given) > _LINES:
            yield f"... and {len(given) - _LINES} more with --json"
    rows = [
        (_short(f"{f.group}: {f.name}", _NAME), _amount(f.a), _amount(f.b), f.change()) for f in c.figures if _worth(f)
    ]
    yield from ("", *table(("figure", "A", "B", "difference"), rows[: 2 * _LINES], 3))
    if c.parting is not None:
        for letter, record, run in (("A", c.parting.a, c.a), ("B", c.parting.b, c.b)):
            yield from ("", f"{letter}, decision {c.parting.number:,}:", in_words(record, run.summary.reasons))
    if out is not None:
        yield f"\npage      {printable(out)}"


def _worth(figure: Figure) -> bool:
    """Whether a figure is worth a line: it is not zero in both runs."""
    return bool(figure.a or figure.b)


def _amount(value: Any) -> str:
    from grinder.evidence.text import number

    return "-" if value is None else number(value)


def _short(value: Any, widest: int = _VALUE) -> str:
    """Text that is no wider than its column: of longer ones the beginning and the end, where hashes are."""
    from grinder.evidence.text import printable

    text = "-" if value is None else printable(value)
    return text if len(text) <= widest else f"{text[: widest // 2 - 2]}...{text[1 - widest // 2 :]}"


def _as_json(c: Comparison, names: tuple[str, str], out: Path | None) -> str:
    runs = {
        key: {"run": name, "run_id": run.summary.run_id, "problems": run.problems}
        for key, name, run in zip("ab", names, (c.a, c.b), strict=True)
    }
    facts = {
        **runs,
        "same": c.same,
        "decided": c.decided,
        "figures": [
            {**msgspec.structs.asdict(f), "difference": f.difference, "measured": f.measured} for f in c.figures
        ],
        "given": c.given,
        "noticed": c.noticed,
        "parting": c.parting,
        **{
            f"{pairs.kind}s": {"compared": pairs.compared, "missing_in": list(pairs.absent), "parting": pairs.parting}
            for pairs in (c.fills, c.payments)
        },
        "page": str(out) if out is not None else None,
    }
    return msgspec.json.format(msgspec.json.encode(facts), indent=2).decode()
