from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from grinder.cli.main import invoke

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "config" / "schema" / "grinder.schema.json"
PLANTED = "planted-5ecret-value"
SHIPPED = {"grid", "warm_up", "liquidity_by_side", "paper"}


def installed() -> set[str]:
    groups = ("grinder.plugins", "grinder.strategies", "grinder.exchanges")
    return {point.name for group in groups for point in entry_points(group=group)}


pytestmark = pytest.mark.skipif(not installed() >= SHIPPED, reason="needs the workspace's plugins")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("GRINDER_", "EXCHANGE_")):
            monkeypatch.delenv(name)


class Run:
    def __init__(self, capsys: pytest.CaptureFixture[str], *args: str) -> None:
        self.code = invoke(["config", *args])
        self.out, self.err = capsys.readouterr()


def shown(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    run = Run(capsys, "show", "--json", *args)
    assert run.code == 0, run.err
    return json.loads(run.out)


def test_show_prints_every_value(capsys: pytest.CaptureFixture[str]):
    values = shown(capsys)
    assert values["strategy"] == "grid"
    assert values["gates.order"] == ["warm_up", "liquidity_by_side"]
    assert values["plugins.warm_up.mode"] == "enforce"
    assert values["plugins.warm_up.seconds"] == 90.0
    assert values["exchanges.paper.balance"] == "10000"
    table = Run(capsys, "show").out.splitlines()
    assert table[0].split() == ["key", "value"]
    assert len(table) == len(values) + 1
    assert re.search(r"^plugins\.warm_up\.seconds +90\.0$", "\n".join(table), re.MULTILINE)


def test_show_origin_says_where_each_value_comes_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    config = tmp_path / "app.yml"
    config.write_text("market:\n  stale_ms: 1234\n")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "sizing.leverage").write_text("3\n")
    monkeypatch.setenv("GRINDER_SYMBOLS", "BTCUSDT")
    monkeypatch.setenv("EXCHANGE_MODE", "paper")
    args = ["--config", str(config), "--secrets-dir", str(tmp_path / "secrets"), "--set", "log.level=debug"]
    rows = shown(capsys, "--origin", *args)
    assert rows["market.stale_ms"] == {"value": 1234, "origin": f"{config}:2"}
    assert rows["sizing.leverage"] == {"value": "3", "origin": str(tmp_path / "secrets" / "sizing.leverage")}
    assert rows["symbols"] == {"value": ["BTCUSDT"], "origin": "GRINDER_SYMBOLS"}
    assert rows["exchange.mode"] == {"value": "paper", "origin": "EXCHANGE_MODE"}
    assert rows["log.level"] == {"value": "debug", "origin": "--set log.level"}
    assert rows["journal.sync"] == {"value": "auto", "origin": "default"}
    assert rows["strategy"]["origin"].startswith("profile paper:")
    table = Run(capsys, "show", "--origin", *args).out
    assert re.search(rf"^market\.stale_ms +1234 +{re.escape(str(config))}:2$", table, re.MULTILINE)


def test_show_notes_variables_that_nothing_reads(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BINANCE_API_SECRET", PLANTED)
    monkeypatch.setenv("GRINDER_FILL_PROB_MIN_BPS", "0")
    run = Run(capsys, "show")
    assert "note: BINANCE_API_SECRET is set but not used: exchange binance is not enabled" in run.err
    assert "note: GRINDER_FILL_PROB_MIN_BPS is set but not used: plugin fill_prob is not enabled" in run.err
    assert PLANTED not in run.out + run.err


def test_check_says_what_would_run(capsys: pytest.CaptureFixture[str]):
    run = Run(capsys, "check")
    assert run.code == 0
    found = re.fullmatch(
        r"ok: profile paper, plugins grid, liquidity_by_side, warm_up, settings_sha256 ([0-9a-f]{64})\n", run.out
    )
    assert found
    said = json.loads(Run(capsys, "check", "--json", "--set", "metrics.port=1").out)
    assert said == {
        "ok": True,
        "profile": "paper",
        "plugins": ["grid", "liquidity_by_side", "warm_up"],
        "settings_sha256": found[1],
    }


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--set", "gates.ordr=x"], "--set gates.ordr: unknown key; did you mean gates.order?"),
        (["--set", "plugins.warm_up.secnds=1"], "did you mean plugins.warm_up.seconds?"),
        (["--set", "plugins.grid.notional=0"], "--set plugins.grid.notional: input should be greater than 0"),
        (["--set", "plugins.grid.qty=1"], "qty and notional are both set"),
        (["--set", "plugins.near_lik.enabled=true"], "pip install grinder-plugin-near-lik"),
        (["--set", "plugins.grid.enabled=false"], "grid"),
        (["--set", "strategy=nothing"], "nothing"),
        (["--set", f"exchanges.binance.api_secret={PLANTED}"], "use the environment or a secrets directory"),
        (["--set", "x"], "write --set KEY=VALUE"),
        (["--config", "/nonexistent/app.yml"], "/nonexistent/app.yml: no such file"),
        (["--secrets-dir", "/nonexistent"], "/nonexistent"),
        (["--profile", "lve"], "did you mean 'live'?"),
        (["--profile", "live"], "pip install grinder-exchange-binance"),
        (["--no-such-option"], "No such option"),
    ],
)
@pytest.mark.parametrize("command", ["check", "show"])
def test_what_is_wrong_is_one_message_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], command: str, args: list[str], said: str
):
    run = Run(capsys, command, *args)
    assert run.code == 2
    assert run.out == ""
    assert said in run.err
    assert PLANTED not in run.err
    assert "Traceback" not in run.err
    assert run.err.startswith(("error: ", "Usage: "))


def test_live_and_testnet_check_once_their_exchange_is_played_by_paper(capsys: pytest.CaptureFixture[str]):
    for profile in ("live", "testnet"):
        args = ["--profile", profile, "--set", "exchange.mode=paper", "--set", "exchange.venue=paper"]
        run = Run(capsys, "check", *args)
        assert run.code == 0, run.err
        assert f"profile {profile}," in run.out


def test_the_live_profile_does_not_start_without_an_essential_gate(capsys: pytest.CaptureFixture[str]):
    args = ["--profile", "live", "--set", "exchange.mode=paper", "--set", "exchange.venue=paper"]
    run = Run(capsys, "check", *args, "--set", "plugins.warm_up.enabled=false")
    assert run.code == 2
    assert "warm_up" in run.err


def test_the_shipped_schema_is_current(capsys: pytest.CaptureFixture[str]):
    if installed() != SHIPPED:
        pytest.skip("other plugins are installed: the schema here is not the workspace's")
    assert SCHEMA.read_text() == Run(capsys, "schema").out, (
        "settings have changed: grinder config schema > config/schema/grinder.schema.json"
    )


def test_the_schema_describes_plugins_and_closes_groups():
    schema = json.loads(SCHEMA.read_text())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False

    def resolved(node: dict[str, Any]) -> dict[str, Any]:
        return schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node

    plugins = resolved(schema["properties"]["plugins"])
    assert set(plugins["properties"]) == SHIPPED - {"paper"}
    warm_up = resolved(plugins["properties"]["warm_up"])
    assert warm_up["additionalProperties"] is False
    assert all(resolved(field).get("description") or "$ref" in field for field in warm_up["properties"].values())


def test_the_console_script_shows_settings_without_heavy_imports():
    code = (
        "import sys; from grinder.cli.main import invoke; code = invoke(['config', 'check']);"
        "heavy = {'numpy', 'ccxt', 'onnxruntime', 'pandas', 'aiohttp'} & sys.modules.keys();"
        "sys.exit(code or sorted(heavy) or 0)"
    )
    environ = {name: text for name, text in os.environ.items() if not name.startswith("GRINDER_")}
    done = subprocess.run([sys.executable, "-c", code], env=environ, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
