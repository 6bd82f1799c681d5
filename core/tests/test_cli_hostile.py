"""No command lets words from outside steer a terminal: not from arguments, not from records, not as JSON."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys

import msgspec
import pytest

from grinder.cli.main import COMMANDS, invoke
from grinder.engine.options import RunOptions
from grinder.engine.session import Session

# Escape, bell, the one-byte form of "escape [", delete, and the mark that turns text around.
EVIL = "\x1b[2J\x1b]0;x\x07\x9b31m\x7f\u202e"
STEERING = frozenset(EVIL) - set("[2J]0;x31m")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "a"
    Session.open(RunOptions(out=folder, duration=9 * 10**9)).run()
    return folder


def spoilt(value):
    """Every text in a record made hostile, and one key more."""
    if isinstance(value, dict):
        return {key: spoilt(each) for key, each in value.items()} | {EVIL: EVIL}
    return [spoilt(each) for each in value] if isinstance(value, list) else value


def hostile(record, *keep):
    """The record with hostile words wherever a reader takes any."""
    changed = {key: value + EVIL if isinstance(value, str) else value for key, value in spoilt(record).items()}
    for key in ("order", "gates"):
        inner = changed.get(key)
        for part in [inner] if isinstance(inner, dict) else inner or []:
            part |= {name: text + EVIL for name, text in part.items() if name in {"symbol", "gate", "reason", "detail"}}
    return changed | {key: record[key] for key in keep if key in record}


@pytest.fixture
def spoilt_run(run, tmp_path):
    """A run with hostile records, of a hostile name."""
    out = tmp_path / f"run{EVIL}"
    shutil.copytree(run, out, ignore=shutil.ignore_patterns("state"))
    for name in ("decisions.jsonl", "fills.jsonl", "markouts.jsonl"):
        rows = [json.loads(line) for line in (out / name).read_text().splitlines()]
        kept = ("price", "qty", "fee", "outcome", "mid")
        (out / name).write_bytes(b"".join(msgspec.json.encode(hostile(row, *kept)) + b"\n" for row in rows))
    return out


def clean(capsys):
    said = capsys.readouterr()
    assert said.out + said.err
    assert not STEERING & set(said.out + said.err)
    return said


ARGUMENTS = (
    ("compare", EVIL, EVIL),
    ("config", "check", "--config", EVIL),
    ("config", "check", "--set", f"{EVIL}={EVIL}"),
    ("config", "show", "--profile", EVIL),
    ("config", "show", "--set", f"plugins.warm_up.mode={EVIL}"),
    ("config", EVIL),
    ("data", "gaps", "--root", EVIL),
    ("data", "gaps", "--root", ".", "--output", f"{EVIL}/{EVIL}"),
    ("explain", "last", "--run", EVIL),
    ("plugins", "check", EVIL),
    ("plugins", "check", "warm_up", "--set", EVIL),
    ("plugins", "new", EVIL),
    ("plugins", "new", "near-lik", "--author", EVIL),
    ("plugins", "show", EVIL),
    ("record", "--out", "unused", "--replay", EVIL),
    ("report", EVIL),
    ("run", "--replay", EVIL),
    ("run", "--duration", EVIL),
    ("run", "--speed", EVIL),
    ("run", "--seed", EVIL),
    ("run", "--duration", "1s", "--symbols", EVIL),
    ("run", f"--{EVIL}"),
    ("whatif", EVIL, "--set", "a=1"),
    (EVIL,),
    (f"--{EVIL}",),
)


@pytest.mark.parametrize("args", ARGUMENTS, ids=lambda args: " ".join(args).encode("unicode_escape").decode())
def test_arguments(args, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert invoke(args) in (1, 2, 3)
    clean(capsys)


def test_every_command_is_tried():
    assert {args[0] for args in ARGUMENTS} >= COMMANDS.keys()


@pytest.mark.parametrize("wanted", [EVIL, f"x{EVIL}y", ""])
def test_ids_that_explain_does_not_know(spoilt_run, capsys, wanted):
    assert invoke(["explain", wanted, "--run", str(spoilt_run)]) == 2
    clean(capsys)


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_records(spoilt_run, run, tmp_path, capsys, more):
    for args in (
        ("explain", "last", "--run", str(spoilt_run)),
        ("explain", "last-blocked", "--run", str(spoilt_run)),
        ("compare", str(run), str(spoilt_run), "--out", str(tmp_path / EVIL)),
        ("report", str(spoilt_run)),
        ("whatif", str(spoilt_run), "--set", "plugins.warm_up.seconds=1"),
    ):
        assert invoke([*args, *more]) == 0
        said = clean(capsys)
        if more:
            json.loads(said.out)


def test_json_means_the_same(spoilt_run, capsys):
    assert invoke(["explain", "last", "--run", str(spoilt_run), "--json"]) == 0
    last = json.loads((spoilt_run / "decisions.jsonl").read_text().splitlines()[-1])
    assert json.loads(capsys.readouterr().out)["decision"] == last


@pytest.mark.parametrize("name", ["decisions.jsonl", "fills.jsonl", "summary.json", "settings.json", "timeline.jsonl"])
def test_what_is_said_about_damage(spoilt_run, run, capsys, name):
    (spoilt_run / name).write_text(f'{{"{EVIL}": "{EVIL}"\n{EVIL}\n')
    for args in (("report", str(spoilt_run)), ("compare", str(run), str(spoilt_run))):
        assert invoke(args) == 3
        clean(capsys)


def test_a_folder_without_recordings_for_gaps(tmp_path, capsys):
    root = tmp_path / EVIL
    root.mkdir()
    (root / f"{EVIL}.txt").write_text("x")
    (root / f"{EVIL}.gz").write_text("x")
    for more in ((), ("--json",)):
        assert invoke(["data", "gaps", "--root", str(root), *more]) == 2
        clean(capsys)


def test_no_quoted_name_passes_for_a_line_of_ours(tmp_path, capsys):
    assert invoke(["run", "--replay", "x\nevidence  runs/paper"]) == 2
    assert not [line for line in capsys.readouterr().err.splitlines() if line.startswith("evidence")]


def test_no_name_of_a_run_passes_for_a_line_of_ours(run, tmp_path, capsys):
    named = tmp_path / "x\nevidence  runs"
    shutil.copytree(run, named)
    (named / "summary.json").unlink()
    for args in (("report", str(named)), ("compare", str(run), str(named))):
        assert invoke(args) == 0
        said = capsys.readouterr()
        assert not [line for line in (said.out + said.err).splitlines() if line.startswith("evidence")]


def test_on_a_real_terminal(spoilt_run):
    """The same through a pseudo-terminal, in a process: what arrives is all that a terminal sees."""
    terminal, inside = pty.openpty()
    command = [sys.executable, "-m", "grinder.cli", "explain", EVIL, "--run", str(spoilt_run)]
    process = subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside)
    os.close(inside)
    seen = b""
    try:
        while part := os.read(terminal, 65536):
            seen += part
    except OSError:
        pass  # how Linux says that the other end is closed
    os.close(terminal)
    assert process.wait(30) == 2
    assert "no decision" in seen.decode()
    assert not STEERING & set(seen.decode())
