"""``grinder plugins`` lists, explains, installs; errors are one line on stderr and an exit code."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from grinder.cli.main import invoke

GATE = """
from __future__ import annotations
from decimal import Decimal
from grinder import *
from pydantic import Field

GRINDER_API = ">=1.0,<2"
REASONS = {"ACME_WIDE": "The spread is wide."}

class Deep(Section):
    depth: int = Field(default=3, description="How deep.")

class Settings(GateSettings):
    limit: Decimal = Field(default=Decimal("1.50"), description="Limit in bps.")
    must: int = Field(description="No default.")
    deep: Deep = Deep(depth=4)

@hookimpl
def register_settings() -> type[Settings]:
    return Settings

@hookimpl
def pre_order_gate(order: OrderIntent, market) -> Verdict:
    return Allow()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith("GRINDER_"):
            monkeypatch.delenv(name)
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o700)
    yield folder
    for name in [name for name in sys.modules if name.startswith("grinder_plugins_dir.")]:
        del sys.modules[name]


@pytest.fixture
def grinder(folder, capsys):
    def run(*args: str) -> tuple[int, str, str]:
        code = invoke(["plugins", *args])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def write(folder: Path, name: str, source: str = GATE) -> list[str]:
    path = folder / f"{name}.py"
    path.write_text(source)
    path.chmod(0o600)
    return ["--set", f"host.plugins_dir={folder}", "--set", f"plugins.{name}.enabled=true"]


def listed(out: str) -> dict[str, dict]:
    return {row["name"]: row for row in json.loads(out)}


def test_list_shows_enabled_plugins_in_a_table(grinder):
    code, out, err = grinder("list")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].split() == ["name", "state", "mode", "order", "distribution", "version", "api", "hooks", "reason"]
    assert lines[1].split()[:4] == ["liquidity_by_side", "enabled", "enforce", "2"]
    assert lines[2].split()[:5] == ["warm_up", "enabled", "enforce", "1", "grinder-plugin-warm-up"]
    assert len(lines) == 3
    assert len({line.index("grinder-plugin") for line in lines[1:]}) == 1
    assert "\x1b" not in out


def test_list_as_json(grinder):
    code, out, _ = grinder("list", "--json")
    assert code == 0
    row = listed(out)["warm_up"]
    assert row == {
        "name": "warm_up",
        "group": "grinder.plugins",
        "state": "enabled",
        "reason": "",
        "distribution": "grinder-plugin-warm-up",
        "version": "0.1.0",
        "api": ">=1.0,<2",
        "hooks": ["pre_order_gate", "register_settings"],
        "order": 1,
        "mode": "enforce",
    }


def test_list_all_has_what_is_not_enabled_and_the_other_groups(grinder):
    code, out, _ = grinder("list", "--all", "--json", "--set", "plugins.warm_up.enabled=false")
    rows = listed(out)
    assert code == 0
    assert (rows["warm_up"]["state"], rows["warm_up"]["reason"]) == ("disabled", "not enabled")
    assert rows["warm_up"]["order"] == 0
    assert {row["group"] for row in rows.values()} == {
        "grinder.plugins",
        "grinder.strategies",
        "grinder.exchanges",
        "grinder.policies",
    }
    assert rows["grid"]["state"] == "enabled"
    assert rows["standard"]["hooks"] == ["admission", "size", "route"]
    _, short, _ = grinder("list", "--json", "--set", "plugins.warm_up.enabled=false")
    assert "warm_up" not in listed(short)


def test_settings_decide_order_and_mode(grinder, folder):
    options = [*write(folder, "acme"), "--set", "plugins.acme.must=1", "--set", "gates.order=[acme, warm_up]"]
    code, out, _ = grinder("list", "--json", *options, "--set", "plugins.warm_up.mode=shadow")
    rows = listed(out)
    assert code == 0
    assert {name: row["order"] for name, row in rows.items()} == {"acme": 1, "warm_up": 2, "liquidity_by_side": 3}
    assert (rows["acme"]["mode"], rows["warm_up"]["mode"]) == ("shadow", "shadow")
    assert rows["acme"]["distribution"] == str(folder / "acme.py")


@pytest.mark.parametrize(
    ("source", "state", "part"),
    [
        ("1 / 0", "failed", "ZeroDivisionError: division by zero"),
        (GATE.replace("market", "markets"), "refused", "did you mean 'market'?"),
        (GATE.replace(">=1.0,<2", ">=3"), "refused", "this grinder has 1.0"),
    ],
)
def test_list_shows_what_does_not_load_and_why(grinder, folder, source, state, part):
    options = write(folder, "acme", source)
    code, out, _ = grinder("list", "--json", *options)
    assert code == 0
    assert listed(out)["acme"]["state"] == state
    assert part in listed(out)["acme"]["reason"]
    assert listed(out)["warm_up"]["state"] == "enabled"
    _, text, _ = grinder("list", *options)
    assert part in text
    assert len(text.splitlines()) == 4


def test_list_shows_denied_unsafe_and_missing(grinder, folder):
    options = write(folder, "acme")
    (folder / "acme.py").chmod(0o666)
    options += ["--set", "plugins.near_liq.enabled=true", "--set", "host.deny=[warm_up]"]
    _, out, _ = grinder("list", "--json", *options)
    rows = listed(out)
    assert (rows["acme"]["state"], rows["near_liq"]["state"]) == ("refused", "missing")
    assert rows["acme"]["reason"].endswith(f"chmod go-w {folder / 'acme.py'}")
    assert "pip install grinder-plugin-near-liq" in rows["near_liq"]["reason"]
    assert (rows["warm_up"]["state"], rows["warm_up"]["reason"]) == ("denied", "host.deny lists 'warm_up'")


def test_list_shows_essential_plugins_that_are_not_enabled(grinder):
    _, out, _ = grinder("list", "--json", "--set", "host.essential=[warm_up]", "--set", "plugins.warm_up.enabled=false")
    assert listed(out)["warm_up"]["state"] == "disabled"


def test_list_with_nothing_enabled_says_so(grinder):
    off = [f"plugins.{name}.enabled=false" for name in ("warm_up", "liquidity_by_side", "grid")]
    code, out, _ = grinder("list", *(part for key in off for part in ("--set", key)))
    assert (code, out) == (0, "no plugin is enabled in profile paper; --all shows what is installed\n")


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["--profile", "nowhere"], "unknown profile"),
        (["--config", "/nowhere.yaml"], "/nowhere.yaml: no such file"),
        (["--set", "plugins.warm_up.second=1"], "did you mean plugins.warm_up.seconds?"),
        (["--set", "host.plugins_dir=/nowhere"], "plugins directory /nowhere is not a directory"),
        (["--profile", "live", "--set", "host.plugins_dir=/tmp"], "profile live loads installed plugins only"),
    ],
)
def test_wrong_settings_are_one_line_and_exit_two(grinder, args, part):
    code, out, err = grinder("list", *args)
    assert (code, out) == (2, "")
    assert part in err
    assert "Traceback" not in err


def test_live_imports_nothing_from_a_directory_before_it_refuses(grinder, folder, tmp_path):
    options = write(folder, "acme", f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()")
    for command in (["list"], ["show", "acme"]):
        code, _, _ = grinder(*command, "--profile", "live", "--set", "host.allow=[acme]", *options)
        assert code == 2
    assert not (tmp_path / "ran").exists()


# show


def test_show_has_settings_reasons_and_hooks(grinder, folder):
    options = write(folder, "acme")
    code, out, _ = grinder("show", "acme", "--json", *options[:2])
    details = json.loads(out)
    settings = {row["key"]: row for row in details["settings"]}
    assert code == 0
    assert settings["limit"] == {"key": "limit", "default": "1.50", "required": False, "description": "Limit in bps."}
    assert settings["must"]["required"] is True
    assert settings["deep.depth"]["default"] == 4
    assert settings["mode"]["default"] == "shadow"
    assert all(row["description"] for row in settings.values())
    assert details["reasons"] == {"ACME_WIDE": "The spread is wide."}
    assert details["hooks"] == {
        "pre_order_gate": "pre_order_gate(order: OrderIntent, market) -> Verdict",
        "register_settings": "register_settings() -> type[Settings]",
    }
    _, text, _ = grinder("show", "acme", *options[:2])
    for part in ("acme  ", "API >=1.0,<2", '"1.50"', "(required)", "ACME_WIDE", "pre_order_gate(order: OrderIntent"):
        assert part in text


def test_show_says_whether_a_gate_offers_a_judge(grinder, folder):
    judge = "\ndef judge(inputs, settings: Settings) -> Verdict: return Allow(inputs)\n"
    for source, signature, part in (
        (GATE, "", "judge\nnone: grinder whatif keeps the answers that were recorded"),
        (GATE + judge, "judge(inputs, settings: Settings) -> Verdict", "judge\njudge(inputs, settings"),
    ):
        options = write(folder, "acme", source)[:2]
        assert json.loads(grinder("show", "acme", "--json", *options)[1])["judge"] == signature
        assert part in grinder("show", "acme", *options)[1]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("warm_up", "seconds"),
        ("grid", "create(settings: GridSettings"),
        ("standard", "route(settings: RolloutSettings, intent_id: str) -> Route"),
    ],
)
def test_show_knows_every_group(grinder, name, part):
    code, out, _ = grinder("show", name)
    assert code == 0
    assert part in out


def test_show_of_an_unknown_name_suggests_one(grinder):
    code, _, err = grinder("show", "warmup")
    assert code == 2
    assert "did you mean 'warm_up'?" in err


def test_show_of_what_is_denied_or_broken_says_why(grinder, folder):
    code, _, err = grinder("show", "warm_up", "--set", "host.deny=[warm_up]")
    assert (code, err) == (2, "error: plugin 'warm_up': it is denied: host.deny lists 'warm_up'\n")
    code, _, err = grinder("show", "acme", *write(folder, "acme", "1 / 0"))
    assert code == 2
    assert "ZeroDivisionError" in err


# install and uninstall


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """A pip that writes down its arguments instead of installing, for this interpreter and its children."""
    package = tmp_path / "site" / "pip"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    log = tmp_path / "args.json"
    source = f"import json, sys\njson.dump(sys.argv[1:], open({str(log)!r}, 'w'))\nsys.exit('--fail' in sys.argv)"
    (package / "__main__.py").write_text(source)
    monkeypatch.delitem(sys.modules, "pip", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    return log


def test_install_hands_its_arguments_to_pip_of_this_interpreter(grinder, pip):
    code, _, _ = grinder("install", "-U", "grinder-plugin-x", "-e", "./y")
    assert code == 0
    assert json.loads(pip.read_text()) == ["--no-input", "install", "-U", "grinder-plugin-x", "-e", "./y"]


def test_uninstall_does_not_wait_for_an_answer_without_a_terminal(grinder, pip):
    assert grinder("uninstall", "grinder-plugin-x")[0] == 0
    assert json.loads(pip.read_text()) == ["--no-input", "uninstall", "--yes", "grinder-plugin-x"]


def test_a_failing_install_is_a_runtime_error(grinder, pip):
    assert grinder("install", "x", "--fail")[0] == 3


def test_uv_is_used_where_pip_is_absent(grinder, tmp_path, monkeypatch):
    log = tmp_path / "args"
    (tmp_path / "bin").mkdir()
    uv = tmp_path / "bin" / "uv"
    uv.write_text(f'#!/bin/sh\necho "$@" > {log}\n')
    uv.chmod(0o755)
    monkeypatch.setitem(sys.modules, "pip", None)
    monkeypatch.setenv("PATH", str(uv.parent), prepend=os.pathsep)
    assert grinder("install", "grinder-plugin-x")[0] == 0
    assert log.read_text().split() == ["pip", "install", "--python", sys.executable, "grinder-plugin-x"]


def test_without_pip_and_uv_the_remedy_is_named(grinder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pip", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = grinder("install", "x")
    assert code == 2
    assert "-m ensurepip" in err


def test_profile_live_installs_nothing(grinder, pip, monkeypatch):
    for verb in ("install", "uninstall"):
        code, _, err = grinder(verb, "x", "--profile", "live")
        assert code == 4
        assert f"profile live {verb}s nothing" in err
    monkeypatch.setenv("GRINDER_PROFILE", "live")
    assert grinder("install", "x")[0] == 4
    assert not pip.exists()


def test_an_externally_managed_python_is_left_alone(grinder, pip, tmp_path, monkeypatch):
    marker = tmp_path / "EXTERNALLY-MANAGED"
    marker.touch()
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    assert grinder("install", "x")[0] == 0  # a virtual environment of such a Python is ours
    pip.unlink()
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    code, _, err = grinder("install", "x")
    assert code == 4
    assert "venv" in err
    assert not pip.exists()


def test_install_without_arguments_is_a_usage_error(grinder):
    code, _, err = grinder("install")
    assert code == 2
    assert "ARGS" in err


BROKEN = {
    "raises": "class E(BaseException): ...\nraise E('boo')",
    "unreadable": "class E(Exception):\n    def __str__(self): raise SystemExit\nraise E",
    "endless": GATE + "\nGRINDER_API = '>=' + '9' * 5000\n",
    "getattr": GATE + "\ndef __getattr__(name): raise SystemExit(name)\n",
    "steers": "raise RuntimeError('\\x1b[2J\\u202e')",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_a_line_of_the_list_and_a_refusal_of_a_run(grinder, folder, name):
    options = write(folder, "acme", BROKEN[name])
    code, out, err = grinder("list", "--json", *options, "--set", "plugins.warm_up.enabled=true")
    states = {row["name"]: row["state"] for row in json.loads(out)}
    assert (code, err, states["warm_up"]) == (0, "", "enabled")
    assert states["acme"] in {"refused", "failed"}
    _, out, _ = grinder("list", *options)
    assert all(line.isprintable() for line in out.splitlines())
    code, out, err = grinder("show", *options, "acme")
    assert (code, out) == (2, "")
    assert err.startswith("error: plugin 'acme': ")


def test_what_interrupts_a_run_is_named(folder, tmp_path, capsys):
    options = write(folder, "acme", GATE.replace("return Allow()", "raise KeyboardInterrupt"))
    options += ["--set", "plugins.acme.must=1", "--set", "plugins.warm_up.enabled=false"]
    code = invoke(["run", "--duration", "2s", "--out", str(tmp_path / "out"), *options])
    assert code == 130
    assert "interrupted in pre_order_gate of plugin 'acme'" in capsys.readouterr().err
