"""``grinder whatif`` on a run of the main job: what it says, what it refuses, what it does with damaged records."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tracemalloc
from decimal import Decimal
from pathlib import Path

import pytest

from grinder.cli.main import invoke
from grinder.errors import InputError
from grinder.settings.report import fingerprint
from grinder.settings.saved import read_saved
from grinder.settings.sources import Sources

ALPHA = "plugins.liquidity_by_side.alpha=3"

LAZY = """
from __future__ import annotations
from pydantic import Field
from grinder import Allow, Block, GateSettings, OrderIntent, Verdict, hookimpl

REASONS = {"LAZY_BIG": "Big."}

class Settings(GateSettings):
    most: float = Field(default=9.0, description="Most.")

@hookimpl
def register_settings() -> type[Settings]:
    return Settings

@hookimpl
def pre_order_gate(order: OrderIntent, settings: Settings) -> Verdict:
    qty = float(order.qty)
    return Allow({"qty": qty}) if qty <= settings.most else Block("LAZY_BIG", {"qty": qty})
"""
LIAR = (
    LAZY.replace("LAZY", "LIAR")
    + """
def judge(inputs, settings):
    if settings.most < 1:
        raise RuntimeError("no")
    return Allow(inputs) if inputs["qty"] > 0.1 else Block("LIAR_BIG", inputs)
"""
)
RESOLVER = """
from __future__ import annotations
from grinder import PluginSettings, Threshold, hookimpl

@hookimpl
def register_settings() -> type[PluginSettings]:
    return PluginSettings

@hookimpl
def resolve_threshold(gate: str, symbol: str, configured: float) -> Threshold | None:
    return Threshold(2.5) if symbol == "ETHUSDT" and gate == "liquidity_by_side" else None
"""


@pytest.fixture(scope="module")
def plugins_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    for name, source in (
        ("lazy", LAZY),
        ("liar", LIAR),
        ("resolver", RESOLVER),
        ("late", LAZY.replace("LAZY", "LATE")),
    ):
        path = folder / f"{name}.py"
        path.write_text(source)
        path.chmod(0o600)
    return folder


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, plugins_dir):
    out = tmp_path_factory.mktemp("whatif") / "run"
    sets = ("plugins.warm_up.seconds=20", *(f"plugins.{name}.enabled=true" for name in ("lazy", "liar", "resolver")))
    command = [sys.executable, "-m", "grinder.cli", "run", "--duration", "60s", "--out", str(out)]
    command += ["--plugins-dir", str(plugins_dir), *(part for one in sets for part in ("--set", one))]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return out


@pytest.fixture
def run(recorded, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(recorded, out, ignore=shutil.ignore_patterns("state"))
    return out


@pytest.fixture
def ask(capsys, plugins_dir):
    def asked(run: Path, *sets: str, more: tuple[str, ...] = ()) -> tuple[int, str, str]:
        args = [part for one in sets for part in ("--set", one)]
        code = invoke(["whatif", str(run), "--plugins-dir", str(plugins_dir), *args, *more])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return asked


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_a_run_leaves_its_settings_without_paths_and_they_read_back_as_they_were(run, recorded, plugins_dir):
    path = run / "settings.json"
    assert (recorded / "settings.json").stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert str(plugins_dir) not in text
    assert "plugins_dir" not in text
    assert '"port"' not in text
    kept = read_saved(path)
    summary = json.loads((run / "summary.json").read_text())
    assert kept.settings_sha256 == summary["settings_sha256"]
    from grinder.engine.plugins import load

    again = load(Sources.over(kept.layer("x"), overrides=(f"host.plugins_dir={plugins_dir}",)))
    assert fingerprint(again.settings) == summary["settings_sha256"]


def test_every_decision_is_counted_once_before_and_after(ask, run):
    code, out, err = ask(run, ALPHA, "plugins.warm_up.seconds=10", more=("--json", "--limit", "3"))
    assert (code, err) == (0, "")
    answer = json.loads(out)
    total = len(lines(run / "decisions.jsonl"))
    assert answer["decisions"] == total
    assert sum(row["before"] for row in answer["by_reason"]) == total
    assert sum(row["after"] for row in answer["by_reason"]) == total
    assert answer["turns"]["blocked"] > 0
    assert answer["turns"]["allowed"] > 0
    gates = {row["gate"]: row for row in answer["gates"]}
    assert gates["warm_up"]["status"] == gates["liquidity_by_side"]["status"] == "judged"
    assert gates["warm_up"]["kept"] == 0
    assert len(answer["changed"]) == 3
    where = [row["id"] for row in lines(run / "decisions.jsonl")].index(answer["first_change"])
    assert answer["after_first_change"] == total - where - 1


def test_the_fills_lost_are_those_of_the_orders_that_would_be_blocked(ask, run, tmp_path):
    out = tmp_path / "changed.jsonl"
    answer = json.loads(ask(run, ALPHA, more=("--json", "--out", str(out)))[1])
    assert out.stat().st_mode & 0o777 == 0o600
    blocked = {row["id"] for row in lines(out) if row["change"] == "blocked"}
    lost = [row for row in lines(run / "fills.jsonl") if row["intent_id"] in blocked]
    assert lost
    told = answer["fills_lost"]
    assert (told["fills"], told["orders"]) == (len(lost), len({row["intent_id"] for row in lost}))
    assert Decimal(told["notional"]) == sum(Decimal(row["price"]) * Decimal(row["qty"]) for row in lost)
    assert Decimal(told["fees"]["USDT"]) == sum(Decimal(row["fee"]) for row in lost)
    moves = [
        (1 if row["side"] == "BUY" else -1) * (row["mid_5s"] / row["mid"] - 1) * 1e4
        for row in lines(run / "markouts.jsonl")
        if row["id"] in blocked and row["mid_5s"]
    ]
    drift = answer["drift"]["newly_blocked"]["s5"]
    assert drift["n"] == len(moves)
    assert drift["mean"] == pytest.approx(sum(moves) / len(moves))
    groups = answer["drift"]
    assert (groups["newly_blocked"]["orders"], groups["fills_lost"]["orders"]) == (len(blocked), told["orders"])
    assert groups["newly_allowed"]["orders"] == 0
    assert {group["no_markout"] for group in groups.values()} == {0}


def test_orders_without_a_markout_are_counted(ask, run):
    """As after a crash, which takes those that were waiting; a closure by the venue is no order of ours."""
    path = run / "markouts.jsonl"
    rows = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(rows[: len(rows) // 2]))
    with (run / "fills.jsonl").open("ab") as file:
        closure = json.loads((run / "fills.jsonl").read_bytes().splitlines()[0])
        file.write(json.dumps(closure | {"intent_id": "", "cause": "ADL", "trade_id": "adl"}).encode() + b"\n")
    kept = {row["id"] for row in lines(path)}
    filled = {row["intent_id"] for row in lines(run / "fills.jsonl")} - {""}
    told = json.loads(ask(run, ALPHA, more=("--json",))[1])["drift"]["all_fills"]
    assert (told["orders"], told["no_markout"]) == (len(filled), len(filled - kept))
    assert told["no_markout"] > 0
    sentence = f"{told['no_markout']:,} of the {told['orders']:,} all orders with fills in the run have no line in"
    assert sentence.replace("all orders", "orders") in ask(run, ALPHA)[1]


@pytest.mark.parametrize(
    ("change", "known"),
    [
        ("plugins.grid.levels=3", False),
        ("exchanges.paper.balance=5", False),
        ("plugins.warm_up.budget_us=900", False),
        ("plugins.liar.most=8", False),
        ("plugins.liquidity_by_side.on_error=allow", True),
        ("log.level=debug", True),
    ],
)
def test_that_no_decision_would_change_is_said_only_as_far_as_it_is_known(ask, run, change, known):
    code, out, _ = ask(run, change)
    assert code == 0
    assert out.endswith(f"No decision would change{'' if known else ', as far as that is known'}.\n")


def test_switching_a_plugin_off_lists_nothing_that_nobody_asked_for(ask, run):
    out = ask(run, "plugins.liquidity_by_side.enabled=false")[1]
    assert [line for line in out.splitlines() if line.startswith("changed")] == [
        "changed   plugins.liquidity_by_side.enabled: true -> false"
    ]


def test_a_gate_that_would_not_be_let_in_is_switched_off(ask, run):
    code, out, _ = ask(run, "host.deny=[warm_up]")
    assert code == 0
    assert "warm_up: switched off" in out
    assert "ignored" not in out


def test_the_text_says_what_it_cannot_know_and_its_ids_can_be_explained(ask, run, capsys):
    code, out, _ = ask(run, ALPHA, "plugins.liquidity_by_side.levels=5", "plugins.lazy.most=1", "sizing.leverage=3")
    assert code == 0
    assert "NOT judged: levels, which its judge never reads" in out
    assert "lazy: offers no judge, so its recorded answers stay; NOT judged: most" in out
    assert "ignored   sizing.leverage: recorded decisions cannot answer" in out
    assert "Position drift is not modelled" in out
    assert re.search(r"[\d,]+ decisions come after the first that changes", out)
    assert "resolver had resolved 2.5 for ETHUSDT; the value given here is used in its place" in out
    command = re.search(r"^try +grinder (explain \S+ --run \S+)$", out, re.MULTILINE)
    assert command
    assert invoke(command[1].split()) == 0
    assert "Decision " in capsys.readouterr().out


def test_a_judge_that_does_not_say_what_was_recorded_is_not_believed(ask, run):
    answer = json.loads(ask(run, "plugins.liar.most=8", more=("--json",))[1])
    (liar,) = [row for row in answer["gates"] if row["gate"] == "liar"]
    big = sum(g["inputs"]["qty"] > 0.1 for row in lines(run / "decisions.jsonl") for g in row["gates"][2:3])
    total = sum(bool(row["gates"]) for row in lines(run / "decisions.jsonl"))
    assert (liar["rejudged"], liar["kept"]) == (big, total - big)
    assert answer["turns"] == {}
    raising = json.loads(ask(run, "plugins.liar.most=0.5", more=("--json",))[1])
    assert [row["kept"] for row in raising["gates"] if row["gate"] == "liar"] == [total]


@pytest.mark.parametrize("change", ["plugins.lazy.enabled=false", "plugins.lazy.mode=off"])
def test_a_gate_that_is_taken_away_or_was_never_there_is_named(ask, run, change):
    out = ask(run, change, "plugins.late.enabled=true", "plugins.late.mode=enforce")[1]
    assert "lazy: switched off" in out
    assert "late: was not in the run, so nothing is known" in out
    assert "lazy.most" not in out
    assert "No decision would change, as far as that is known." in out


def test_nothing_changed_says_so(ask, run, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("plugins:\n  warm_up:\n    seconds: 20\n")
    for code, out, _ in (ask(run, "plugins.warm_up.seconds=20"), ask(run, more=("--config", str(own)))):
        assert code == 0
        assert "Nothing changed" in out
    assert ask(run, "plugins.warm_up.seconds=19.999")[1].rstrip().endswith("No decision would change.")


def test_a_file_of_settings_holds_over_the_run_and_the_command_line_over_it(ask, run, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("plugins:\n  warm_up:\n    seconds: 5\n  liquidity_by_side:\n    alpha: 9\n")
    out = ask(run, ALPHA, more=("--config", str(own)))[1]
    assert "plugins.warm_up.seconds: 20.0 -> 5.0" in out
    assert "plugins.liquidity_by_side.alpha: 1.5 -> 3.0" in out


def test_the_environment_is_not_looked_at(ask, run, monkeypatch):
    monkeypatch.setenv("GRINDER_PLUGINS__WARM_UP__SECONDS", "0")
    assert "Nothing changed" in ask(run, "plugins.warm_up.seconds=20")[1]


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (("plugins.warm_up.second=1",), "unknown key; did you mean plugins.warm_up.seconds?"),
        (("plugins.warmup.seconds=1",), "did you mean 'warm_up'?"),
        (("plugins.warm_up.seconds=-1",), "--set plugins.warm_up.seconds: input should be greater than or equal to 0"),
        (("plugins.warm_up.mode=loud",), "--set plugins.warm_up.mode: input should be"),
        (("plugins.warm_up.api_key=hunter22",), "looks like a secret"),
        (("nonsense",), "write --set KEY=VALUE"),
        ((), "say what to change"),
    ],
)
def test_a_wrong_question_is_a_usage_error(ask, run, sets, said):
    code, out, err = ask(run, *sets)
    assert (code, out) == (2, "")
    assert said in err
    assert "hunter22" not in err


@pytest.mark.parametrize("name", ["settings.json", "decisions.jsonl", "fills.jsonl"])
def test_a_missing_file_is_named(ask, run, name):
    (run / name).unlink()
    code, _, err = ask(run, ALPHA)
    assert code == 2
    assert name in err


def test_a_missing_run_and_a_missing_file_of_settings_are_named(ask, run, tmp_path):
    for code, _, err in (ask(tmp_path / "none", ALPHA), ask(run, more=("--config", str(tmp_path / "none")))):
        assert code == 2
        assert "none" in err


def test_without_markouts_the_rest_is_answered(ask, run):
    (run / "markouts.jsonl").unlink()
    code, out, _ = ask(run, ALPHA)
    assert code == 0
    assert "no markouts.jsonl" in out


def test_records_of_the_run_are_never_written_over(ask, run, tmp_path):
    before = (run / "decisions.jsonl").read_bytes()
    code, _, err = ask(run, ALPHA, more=("--out", str(run / "decisions.jsonl")))
    assert code == 2
    assert "is a record of the run" in err
    link = tmp_path / "link.jsonl"
    link.symlink_to(run / "decisions.jsonl")
    (run / "state").mkdir()
    (run / "state" / "journal.sqlite").touch()
    for other in (link, run / "state" / "journal.sqlite", run / "state"):
        assert ask(run, ALPHA, more=("--out", str(other)))[0] == 2
    other = tmp_path / "other"
    other.mkdir()
    outside = tmp_path / "outside.jsonl"
    outside.symlink_to(tmp_path / "nowhere.jsonl")
    assert ask(run, ALPHA, more=("--out", str(outside)))[0] == 2
    assert ask(run, ALPHA, more=("--out", str(other)))[0] == 2
    assert (run / "decisions.jsonl").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"settings":7}', b"[" * 100_000, b" " * (5 << 20)])
def test_settings_that_are_no_settings_are_corrupt(ask, run, content):
    (run / "settings.json").write_bytes(content)
    code, _, err = ask(run, ALPHA)
    assert code == 3
    assert "settings.json" in err


@pytest.mark.parametrize("depth", [40, 900])
@pytest.mark.parametrize(("opening", "end"), [('{"a":', "}"), ("[", "]")], ids=["groups", "lists"])
def test_settings_nested_without_sense_are_corrupt(ask, run, opening, end, depth):
    path = run / "settings.json"
    path.write_text('{"settings": {"log": ' + opening * depth + "1" + end * depth + "}}")
    code, _, err = ask(run, ALPHA)
    assert code == 3
    assert "settings.json" in err
    assert "nested more than 32 deep" in err
    with pytest.raises(InputError, match="nested more than 32 deep"):
        read_saved(path)


def test_settings_that_somebody_has_edited_are_told_with_their_file(ask, run):
    path = run / "settings.json"
    path.write_text(path.read_text().replace('"seconds": 20.0', '"seconds": -20.0'))
    code, _, err = ask(run, ALPHA)
    assert code == 2
    assert "settings.json: plugins.warm_up.seconds: input should be greater" in err
    path.write_text(path.read_text().replace('"seconds": -20.0', '"seconds": 30.0'))
    out = ask(run, ALPHA)[1]
    assert "note      what is installed now reads the run's settings differently" in out
    assert "warm_up: " in out
    assert "answers were given under other settings than settings.json tells" in out


BAD = [
    b"{",
    b"\xff\xfe",
    b"{}",
    b'{"gates":[]}',
    b'{"x":' + b"[" * 50_000,
    b"",
]


def bent(run: Path, **changes: object) -> bytes:
    row = next(row for row in lines(run / "decisions.jsonl") if row["gates"])
    row["gates"][0] |= changes.pop("gate", {})
    row["order"] |= changes.pop("order", {})
    return json.dumps(row | changes, separators=(",", ":")).encode()


@pytest.mark.parametrize("index", range(len(BAD) + 5))
def test_a_corrupt_line_is_named_and_the_rest_is_still_answered(ask, run, index):
    bend = [
        lambda: bent(run, gate={"verdict": "perhaps"}),
        lambda: bent(run, gate={"verdict": "shrink", "qty": None}),
        lambda: bent(run, gate={"verdict": "shrink", "qty": "sNaN"}),
        lambda: bent(run, order={"side": "UP"}, gate={"verdict": "allow"}),
        lambda: bent(run, gate={"threshold": {"value": "much"}}),
    ]
    bad = BAD[index] if index < len(BAD) else bend[index - len(BAD)]()
    path = run / "decisions.jsonl"
    rows = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*rows[:4], bad + b"\n", *rows[4:]]))
    code, out, err = ask(run, "plugins.warm_up.seconds=10")
    assert code == 3
    assert "decisions.jsonl, line 5: is corrupt" in err
    assert f"{len(rows):,} decisions" in out


def test_a_last_line_that_was_cut_off_is_passed_over(ask, run):
    path = run / "decisions.jsonl"
    total = len(lines(path))
    path.write_bytes(path.read_bytes()[:-9])
    code, out, err = ask(run, ALPHA)
    assert code == 0
    assert "cut off" in err
    assert f"{total - 1:,} decisions" in out


@pytest.mark.parametrize("change", [{"price": "1E+999999"}, {"qty": "NaN"}, {"fee": "-Infinity"}, {"price": None}])
def test_fills_with_absurd_numbers_are_corrupt(ask, run, change):
    path = run / "fills.jsonl"
    path.write_bytes(path.read_bytes() + json.dumps(lines(path)[0] | change).encode() + b"\n")
    code, out, err = ask(run, ALPHA)
    assert code == 3
    assert "fills.jsonl, line " in err
    assert "lost on" in out


def test_hostile_text_in_records_cannot_steer_a_terminal(ask, run):
    path = run / "decisions.jsonl"
    evil = "\x1b[31mX\u202e\r\n"
    row = bent(run, id=evil + "1", by="warm_up", reason=evil, outcome="blocked", order={"symbol": evil})
    path.write_bytes(row + b"\n" + path.read_bytes())
    code, out, err = ask(run, "plugins.warm_up.mode=shadow", more=("--limit", "2"))
    assert code == 0
    assert "\\x1b[31mX\\u202e\\r\\n1" in out
    for text in (out, err):
        assert not re.search("[\x1b\u202e\r]", text)


def test_memory_does_not_grow_with_the_run(ask, run):
    path = run / "decisions.jsonl"
    rows = [line for line in path.read_bytes().splitlines(keepends=True) if b'"gates":[]' not in line][:150]
    peaks = []
    for times in (1, 5):
        with path.open("wb") as file:
            for number in range(times * len(rows)):
                row = rows[number % len(rows)]
                file.write(re.sub(rb'"id":"(\w+-\d+)-\d+"', rb'"id":"\1-%06d"' % number, row))
        tracemalloc.start()
        assert ask(run, "plugins.warm_up.mode=shadow", ALPHA)[0] == 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
