"""``grinder plugins check``: the conformance cases on a plugin that is installed, or on its source."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from grinder.cli.output import say, say_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grinder.testing.results import Result
    from grinder.testing.target import Target


@click.command()
@click.argument("target")
@click.option(
    "--set", "overrides", metavar="FIELD=VALUE", multiple=True, help="A field of its settings; may be repeated."
)
@click.option("--timeout", type=click.FloatRange(min=1), default=300, show_default=True, help="Seconds for all cases.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(target: str, overrides: tuple[str, ...], timeout: float, as_json: bool) -> int:
    """Try the conformance cases on TARGET: pass, fail or skip, each with one sentence.

    TARGET is the name of a distribution or of a plugin, a Python file, or a folder with a pyproject.toml. Its code
    runs, in processes of its own. Exit code 1 when a case fails, 2 when it cannot be found or imported.
    """
    from grinder.testing.checking import check as checked
    from grinder.testing.conformance import need_hypothesis
    from grinder.testing.probe import Job
    from grinder.testing.target import wanted

    need_hypothesis()
    values = _values(overrides)
    found = [(each, checked(Job(target=each, settings=values), timeout)) for each in wanted(target)]
    if as_json:
        say_json(json.dumps([_row(each, results) for each, results in found], indent=2, ensure_ascii=False))
    else:
        say("\n\n".join(_text(each, results) for each, results in found))
    return int(any(_failed(results) for _, results in found))


def _values(overrides: Sequence[str]) -> dict[str, Any]:
    """Fields and values, read as YAML."""
    import yaml

    from grinder.errors import ConfigError

    values: dict[str, Any] = {}
    for text in overrides:
        field, equals, value = text.partition("=")
        if not equals or not field.isidentifier():
            raise ConfigError(f"--set {text!r} is not FIELD=VALUE with a field of the plugin's settings")
        try:
            values[field] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError(f"--set {field}: {value!r} cannot be read as YAML") from None
    return values


def _failed(results: Sequence[Result]) -> int:
    return sum(result.status == "fail" for result in results)


def _row(target: Target, results: Sequence[Result]) -> Mapping[str, Any]:
    cases = [
        {"case": r.case, "title": r.title, "status": r.status.value, "why": r.why, "advice": r.advice} for r in results
    ]
    return {"plugin": target.name, "source": _source(target), "ok": not _failed(results), "cases": cases}


def _text(target: Target, results: Sequence[Result]) -> str:
    from grinder.evidence.text import printable

    lines = [f"{target.name}  {_source(target)}"]
    for result in results:
        lines.append(f"{result.case}  {result.status.upper()}  {result.title}: {result.why}")
        if result.advice:
            lines.append(f"            to mend it: {result.advice}")
    counts = {status: sum(r.status == status for r in results) for status in ("pass", "fail", "skip")}
    lines.append(f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} do not apply")
    return "\n".join(printable(line) for line in lines)  # it quotes what a plugin made


def _source(target: Target) -> str:
    return target.source or target.file
