"""A plugin from outside the workspace: its own tests pass, and it is listed and loaded like any other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ACME = Path(__file__).resolve().parents[2] / "tests" / "downstream" / "acme-grinder-spread"


@pytest.fixture
def environment(tmp_path):
    """The plugin as an installed distribution would be: its package on the path, its metadata beside it."""
    if not ACME.is_dir():
        pytest.skip(f"{ACME} is not there")
    project = tomllib.loads((ACME / "pyproject.toml").read_text())["project"]
    info = tmp_path / f"acme_grinder_spread-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    ((group, entries),) = project["entry-points"].items()
    lines = [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines))
    path = os.pathsep.join((str(ACME / "src"), str(tmp_path)))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRINDER_")}
    return kept | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def run(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], env=environment, capture_output=True, text=True, check=False, cwd=ACME
    )


def test_its_own_tests_pass(environment):
    done = run(environment, "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(ACME), "-c", os.devnull, "tests")
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


def grinder(environment: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    code = f"from grinder.cli.main import main; main({list(args)!r})"
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, cwd=ACME
    )


def test_it_is_listed_once_it_is_enabled(environment):
    off = grinder(environment, "plugins", "list", "--json", "--all")
    rows = {row["name"]: row for row in json.loads(off.stdout)}
    assert (rows["acme_spread"]["state"], rows["acme_spread"]["hooks"]) == ("disabled", [])
    on = grinder(environment, "plugins", "list", "--json", "--set", "plugins.acme_spread.enabled=true")
    row = {row["name"]: row for row in json.loads(on.stdout)}["acme_spread"]
    assert (row["state"], row["distribution"], row["version"]) == ("enabled", "acme-grinder-spread", "1.0.0")
    assert (row["order"], row["mode"], row["api"]) == (3, "shadow", ">=1.0,<2")


def test_it_shows_its_setting_and_reason(environment):
    details = json.loads(grinder(environment, "plugins", "show", "acme_spread", "--json").stdout)
    assert details["reasons"] == {"ACME_SPREAD_WIDE": "The spread is above plugins.acme_spread.max_spread_bps."}
    assert "max_spread_bps" in {row["key"] for row in details["settings"]}


def test_the_gate_stays_under_thirty_lines():
    assert len((ACME / "src" / "acme_grinder_spread" / "__init__.py").read_text().splitlines()) < 30
