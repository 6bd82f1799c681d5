"""``grinder plugins check``: what is tried, what is said, and that no plugin takes the command with it."""

from __future__ import annotations

import builtins
import json
import sys
from pathlib import Path

import pytest

from grinder.cli.main import invoke
from grinder.evidence.text import printable
from grinder.testing import checking
from grinder.testing.cases import CASES
from grinder.testing.probe import Job
from grinder.testing.target import Target, wanted

GATE = """
from __future__ import annotations
from grinder import Allow, Block, GateSettings, OrderIntent, Verdict, hookimpl

GRINDER_API = ">=1.0,<2"
REASONS = {"NO_SELLS": "Selling is not wanted."}

@hookimpl
def register_settings() -> type[GateSettings]:
    return GateSettings

@hookimpl
def pre_order_gate(order: OrderIntent) -> Verdict:
    # first
    return Block("NO_SELLS") if order.side == "SELL" else Allow()
"""


@pytest.fixture
def grinder(capsys):
    def run(*args: str) -> tuple[int, str, str]:
        code = invoke(["plugins", "check", *args])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def package(folder: Path, name: str, entry: str, source: str = GATE) -> Path:
    code = folder / "src" / "acme_no_sells"
    code.mkdir(parents=True)
    (code / "__init__.py").write_text(source)
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "1"\n[project.entry-points."grinder.plugins"]\n{entry}\n'
    )
    return folder


def test_an_installed_plugin_by_name_and_by_distribution(grinder):
    code, out, err = grinder("warm_up", "--json")
    (report,) = json.loads(out)
    assert (code, err, report["plugin"], report["ok"]) == (0, "", "warm_up", True)
    assert [row["case"] for row in report["cases"]] == [case.number for case in CASES]
    assert {row["status"] for row in report["cases"]} == {"pass", "skip"}
    assert wanted("grinder-plugin-warm-up") == wanted("warm_up")


def test_a_file_that_fails_a_case(grinder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "no_sells.py"
    file.write_text(GATE.replace('Block("NO_SELLS")', 'Block("\\x1b[31mRED")'))
    code, out, err = grinder(str(file))
    assert (code, err) == (1, "")
    assert "\x1b" not in out
    lines = out.splitlines()
    (at,) = [number for number, line in enumerate(lines) if "  FAIL  " in line]
    assert lines[at].startswith("GC13  FAIL  reasons are declared: reason '\\x1b[31mRED' is not declared")
    assert "side='SELL'" in lines[at]
    assert lines[at + 1] == "            to mend it: add the code with a sentence to REASONS."
    assert lines[-1].endswith("do not apply")
    assert " 1 failed" in lines[-1]
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_source_folder_announces(tmp_path):
    folder = package(tmp_path / "acme", "acme-no-sells", 'no_sells = "acme_no_sells"')
    (target,) = wanted(str(folder))
    assert (target.name, target.module) == ("no_sells", "acme_no_sells")
    assert target.source == f"acme-no-sells in {folder}"
    assert target.load().REASONS == {"NO_SELLS": "Selling is not wanted."}


def test_a_name_that_something_installed_has_is_claimed_twice(grinder, tmp_path):
    folder = tmp_path / "strategy"
    package(folder, "acme-grid", 'grid = "grinder_plugin_grid"')
    text = (folder / "pyproject.toml").read_text().replace("grinder.plugins", "grinder.strategies")
    (folder / "pyproject.toml").write_text(text)
    code, out, _ = grinder(str(folder), "--json", "--set", "qty=0.01")
    (failed,) = [row for row in json.loads(out)[0]["cases"] if row["status"] == "fail"]
    assert (code, failed["case"]) == (1, "GC04")
    assert "grinder-plugin-grid" in failed["why"]
    assert "acme-grid in" in failed["why"]


def test_fields_of_its_settings_can_be_set(grinder, tmp_path):
    folder = tmp_path / "strategy"
    package(folder, "acme-grid", 'acme = "acme_no_sells"')
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[project.entry-points."grinder.strategies"]\nacme = "grinder_plugin_grid"\n'
    )
    code, out, _ = grinder(str(folder), "--json", "--set", "qty=0.01")
    assert (code, json.loads(out)[0]["cases"][-1]["status"]) == (0, "pass")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["warm_upp"], "did you mean 'warm_up'"),
        (["nothing-like-it-9"], "no plugin or distribution called"),
        (["pydantic"], "distribution 'pydantic' announces nothing"),
        (["./missing.py"], "./missing.py is not there"),
        (["."], "has no pyproject.toml"),
        (["warm_up", "--set", "seconds"], "is not FIELD=VALUE"),
        (["warm_up", "--set", "seconds=["], "cannot be read as YAML"),
        (["warm_up", "--timeout", "0"], "--timeout"),
        ([], "Missing argument"),
        ([""], "nothing was named"),
        (["/dev/null"], "neither a file nor a folder"),
    ],
)
def test_what_cannot_be_found_or_read(grinder, tmp_path, monkeypatch, args, said):
    monkeypatch.chdir(tmp_path)
    code, out, err = grinder(*args)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[project", "cannot be read"),
        ('[project]\nname = "x"\n', "announces no plugin"),
        ("[project]\nentry-points = 3\n", "cannot be read"),
        ('[project.entry-points."grinder.plugins"]\nx = "not a module!"\n', "is not module or module:object"),
        ('[project.entry-points."grinder.plugins"]\nx = "acme_absent"\n', "No module named 'acme_absent'"),
    ],
)
def test_a_folder_that_announces_nothing_sound(grinder, tmp_path, text, said):
    (tmp_path / "pyproject.toml").write_text(text)
    code, out, err = grinder(str(tmp_path))
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nonesuch_9", "No module named 'nonesuch_9'"),
        ("raise SystemExit(7)", "SystemExit: 7"),
        ("def", "Syntax"),
    ],
)
def test_a_file_that_cannot_be_imported(grinder, tmp_path, source, said):
    file = tmp_path / "bad.py"
    file.write_text(source)
    code, out, err = grinder(str(file))
    assert (code, out) == (2, "")
    assert said in err


def test_a_plugin_that_ends_the_process_fails_the_case_it_was_at(grinder, tmp_path):
    file = tmp_path / "no_sells.py"
    file.write_text(GATE.replace("# first", "import os; os._exit(3)"))
    code, out, _ = grinder(str(file), "--json")
    rows = {row["case"]: row for row in json.loads(out)[0]["cases"]}
    assert code == 1
    assert (rows["GC10"]["status"], rows["GC11"]["status"], rows["GC12"]["status"]) == ("pass", "fail", "skip")
    assert "ended with 3" in rows["GC11"]["why"]
    assert "since GC11 ended it all" in rows["GC27"]["why"]


def test_a_plugin_that_never_returns_is_ended_with_all_that_it_started(tmp_path, monkeypatch):
    lasting = "import subprocess, sys; child = subprocess.Popen(['sleep', '600'], stderr=-3)"
    code = f"{lasting}; open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid)); child.wait()"
    monkeypatch.setattr(checking, "WORKER", (sys.executable, "-I", "-c", code))
    results = checking.check(Job(target=Target(name="x"), settings={}), timeout_s=2)
    assert [result.status for result in results] == ["fail", *["skip"] * (len(CASES) - 1)]
    assert "still at it after 2 s" in results[0].why
    assert gone(int((tmp_path / "pid").read_text()))


def gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits to be reaped has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_without_hypothesis_the_extra_is_named(grinder, monkeypatch):
    plain = builtins.__import__

    def without(name, *args, **options):
        if name == "hypothesis":
            raise ImportError(name)
        return plain(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "hypothesis", raising=False)
    code, _, err = grinder("warm_up")
    assert code == 2
    assert "pip install 'grinder-core[testing]'" in err


def test_what_a_terminal_would_act_on_is_escaped():
    assert printable("a\x1b[31mb\r\u202e") == "a\\x1b[31mb\\r\\u202e"
