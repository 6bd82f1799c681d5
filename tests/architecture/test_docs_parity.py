"""The reference says what the code says: every hook, setting, reason, metric, option, variable and record key."""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path
from typing import get_args

import click
import msgspec
import pytest

import grinder
from grinder import (
    Fill,
    IntentKind,
    Mode,
    OrderIntent,
    Outcome,
    PositionSide,
    Risk,
    Route,
    Shrink,
    Side,
    Threshold,
    testing,
)
from grinder import errors as grinder_errors
from grinder.cli.main import COMMANDS, cli, load
from grinder.decisions import Decision, Fault, GateInfo, decision_record
from grinder.evidence.recorder import fill_record
from grinder.evidence.summary import Summary
from grinder.evidence.timeline import FEWEST, ROWS, SAMPLES, Sample, SymbolSample
from grinder.host.discovery import EXCHANGES, PLUGINS, STRATEGIES
from grinder.host.signatures import SPECS
from grinder.metrics.catalogue import CATALOGUE
from grinder.reasons import CORE_REASONS
from grinder.settings.decode import keys_of
from grinder.settings.environment import NAMED
from grinder.settings.model import Settings
from grinder.settings.plugin import GateSettings
from grinder.testing import CASES, fixtures
from grinder.types import TradingState
from grinder.whatif.effects import GROUPS, Drift
from grinder.whatif.result import Turned, WhatIf
from grinder.whatif.review import Turn

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / name).read_text()


def section(name: str, title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page(name), re.DOTALL | re.MULTILINE)
    assert found, f"docs/reference/{name} has no section {title!r}"
    return found[1]


def row(text: str, key: str) -> list[str]:
    """The cells of the one table row that begins with a key."""
    rows = [line for line in text.splitlines() if line.startswith(f"| `{key}` |")]
    assert len(rows) == 1, f"{key} stands in {len(rows)} rows"
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", rows[0])[1:-1]]


def plain(text: str) -> str:
    return " ".join(re.sub(r"[`*\\]", "", text).split())


# Hooks.


@pytest.mark.parametrize("hook", SPECS)
def test_a_hook_is_documented_with_its_exact_signature(hook):
    code = re.search(r"```python\n(.*?)```", section("hooks.md", hook), re.DOTALL)
    assert code
    shown = ast.parse(code[1].strip() + " ...").body[0]
    real = ast.parse(textwrap.dedent(inspect.getsource(SPECS[hook]))).body[0]
    assert isinstance(shown, ast.FunctionDef)
    assert isinstance(real, ast.FunctionDef)
    assert shown.name == real.name
    assert ast.dump(shown.args) == ast.dump(real.args)
    assert ast.unparse(shown.returns or ast.Constant(None)) == ast.unparse(real.returns or ast.Constant(None))


@pytest.mark.parametrize("hook", SPECS)
def test_a_hooks_docstring_is_in_its_section(hook):
    text = plain(section("hooks.md", hook))
    for part in re.split(r"\n\n|\n(?=\w+: )", inspect.cleandoc(SPECS[hook].__doc__ or "")):
        assert plain(part) in text


@pytest.mark.parametrize("hook", SPECS)
def test_a_hook_has_a_test_that_is_named_after_it(hook):
    files = [*(ROOT / "core" / "tests").rglob("test_*.py"), *(ROOT / "tests").rglob("test_*.py")]
    assert any(re.search(rf"^\s*def test_\w*{hook}", file.read_text(), re.MULTILINE) for file in files)


# Settings.


def members(group: str) -> dict[str, object]:
    """What the workspace's own distributions announce."""
    points = entry_points(group=group)
    return {point.name: point.load() for point in points if point.dist and point.dist.name.startswith("grinder-")}


def models() -> Iterator[tuple[str, type]]:
    for name, module in members(PLUGINS).items():
        yield f"plugins.{name}", module.register_settings()
    for name, module in members(STRATEGIES).items():
        yield f"plugins.{name}", module.Settings
    for name, module in members(EXCHANGES).items():
        yield f"exchanges.{name}", module.Settings


def field_at(model: type, key: str):
    *groups, last = key.split(".")
    for group in groups:
        model = model.model_fields[group].annotation
    return next(f for n, f in model.model_fields.items() if last in (n, f.alias))


def test_every_setting_of_core_is_documented():
    for key in keys_of(Settings):
        if key not in ("plugins", "exchanges"):
            assert plain(field_at(Settings, key).description) == plain(row(page("settings.md"), key)[3])


def test_every_setting_of_gates_is_documented():
    for key in keys_of(GateSettings):
        found = row(page("settings.md"), f"plugins.<name>.{key}")
        assert plain(field_at(GateSettings, key).description) == plain(found[3])


@pytest.mark.parametrize(("prefix", "model"), list(models()), ids=lambda value: value if isinstance(value, str) else "")
def test_every_setting_of_a_member_is_documented_with_its_default(prefix, model):
    text = page("settings.md")
    for key in keys_of(model):
        field = field_at(model, key)
        common = issubclass(model, GateSettings) and key in set(keys_of(GateSettings))
        if common and field.default == field_at(GateSettings, key).default:
            continue
        cells = row(text, f"{prefix}.{key}")
        assert plain(field.description) == plain(cells[3])
        default = field.get_default(call_default_factory=True)
        shown = "" if default is None else json.dumps(default) if isinstance(default, bool) else str(default)
        assert cells[2].strip("`") == shown


# Reasons, metrics, errors, names.


def test_every_reason_code_is_documented_once_with_its_meaning():
    known = dict(CORE_REASONS)
    for module in members(PLUGINS).values():
        known |= getattr(module, "REASONS", {})
    for code, meaning in known.items():
        assert plain(row(page("reasons.md"), code)[1]) == plain(meaning)


def test_every_metric_is_documented_with_type_labels_and_meaning():
    for name, (kind, text, labels) in CATALOGUE.items():
        _, shown_kind, shown_labels, meaning = row(page("metrics.md"), name)
        assert (shown_kind, plain(meaning)) == (kind, plain(text))
        assert re.findall(r"`(\w+)`", shown_labels) == list(labels)


def test_every_error_is_documented_with_its_exit_code():
    classes = [c for _, c in inspect.getmembers(grinder_errors, inspect.isclass) if c.__module__ == "grinder.errors"]
    assert classes
    for error in classes:
        assert row(page("errors.md"), error.__name__)[2] == str(error.exit_code)
        assert re.search(rf"^\| {error.exit_code} \|", page("errors.md"), re.MULTILINE)


def test_every_public_name_is_documented():
    for name in grinder.__all__:
        assert row(page("api.md"), name)[2]


def test_every_name_of_the_test_kit_is_documented():
    for name in testing.__all__:
        assert row(page("testing.md"), name)[2]


def test_every_fixture_is_documented():
    names = [name for name, value in vars(fixtures).items() if type(value).__name__ == "FixtureFunctionDefinition"]
    assert len(names) > 5
    for name in names:
        assert row(page("testing.md"), name)[1]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
def test_every_conformance_case_is_documented_with_what_to_do(case):
    text = plain(section("conformance.md", case.number))
    for paragraph in case.requirement.split("\n\n"):
        assert plain(paragraph) in text
    assert plain(case.advice) in text


def test_every_named_environment_variable_is_documented_with_what_it_sets():
    for name, meaning in NAMED.items():
        assert row(page("environment.md"), name)[1] == (f"`{meaning.path}`" if meaning.path else "no setting")


# The command line.


def commands() -> Iterator[tuple[str, click.Command]]:
    def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield name, command
        if isinstance(command, click.Group):
            for each, child in command.commands.items():
                yield from walk(f"{name} {each}", child)

    yield "grinder", cli
    for name, (target, _) in COMMANDS.items():
        yield from walk(f"grinder {name}", load(target))


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_is_documented_with_every_option(name, command):
    text = section("command-line.md", name)
    for option in (param for param in command.params if isinstance(param, click.Option)):
        for spelling in (*option.opts, *option.secondary_opts):
            assert re.search(rf"^ +.*{re.escape(spelling)}\b", text, re.MULTILINE), spelling
        assert plain(option.help or "") in plain(text)
    for line in inspect.cleandoc(command.help or "").split("\n\n"):
        assert plain(line) in plain(text)


# Records.


def everything() -> Decision:
    """A decision whose record has every key."""
    intent = OrderIntent(
        symbol="BTCUSDT", side=Side.BUY, kind=IntentKind.AMEND, qty=Decimal(2), notional=Decimal(100),
        price=Decimal(50), reduce_only=True, position_side=PositionSide.LONG, target="a-1", intent_id="a-2",
    )  # fmt: skip
    return Decision(
        intent=intent, now_ns=1, risk=Risk.INCREASE, outcome=Outcome.BLOCKED, reason="GATE_ERROR", by="some_gate",
        qty=Decimal(1), price=Decimal(50), route=Route.PAPER, trading_state=TradingState.ACTIVE, mid=50.0, detail="why",
        warnings=("careful",),
        gates=(GateInfo("some_gate", Mode.ENFORCE, "block", Threshold(1.0, "x", "s", "r", "e")),),
        answers=(Fault("GATE_ERROR", "broke", True, {"depth": 1.0}, held=True),),
        first_answers=(Shrink(Decimal(1), "SMALLER", {"depth": 1.0}),), client_id="c",
    )  # fmt: skip


def test_every_key_of_a_decision_record_is_documented():
    text = section("run-directory.md", "decisions.jsonl")
    record = decision_record(everything())
    gates = [*record["gates"], *record["first_pass"]]
    keys = {*record, *record["order"], *(key for gate in gates for key in gate), *gates[0]["threshold"]}
    assert len(keys) > 35
    for key in keys:
        assert f"`{key}`" in text, key


def test_every_key_of_a_fill_record_is_documented():
    fill = Fill(
        route=Route.PAPER, venue="paper", account="paper", symbol="BTCUSDT", position_side=PositionSide.BOTH,
        trade_id="1", client_id="c", intent_id="i", side=Side.BUY, price=Decimal(1), qty=Decimal(1), fee=Decimal(0),
        fee_asset="USDT", maker=True, exchange_ns=1, local_ns=2,
    )  # fmt: skip
    for key in fill_record(fill):
        assert f"`{key}`" in section("run-directory.md", "fills.jsonl"), key


def test_every_key_of_a_sample_is_documented():
    text = section("run-directory.md", "timeline.jsonl")
    for key in (*Sample.__struct_fields__, *SymbolSample.__struct_fields__):
        assert f"`{key}`" in text, key
    for number in (SAMPLES, ROWS, FEWEST):
        assert f"{number:,}" in text, number


def test_every_key_of_the_summary_is_documented():
    text = section("run-directory.md", "summary.json")
    for key in summary_keys(Summary):
        assert f"`{key}`" in text, key


def test_every_key_of_a_what_if_is_documented():
    text = page("whatif.md")
    for key in {*summary_keys(WhatIf), *summary_keys(Turned), *summary_keys(Drift), *GROUPS, *(t.value for t in Turn)}:
        assert key == "same" or f"`{key}`" in text, key


def summary_keys(struct: type) -> Iterator[str]:
    for field in msgspec.structs.fields(struct):
        yield field.encode_name
        for kind in (field.type, *get_args(field.type)):
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                yield from summary_keys(kind)
