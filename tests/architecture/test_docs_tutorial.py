"""The package of the tutorial, as the page prints it: installed beside grinder, its tests run, orders blocked."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tutorials" / "write-a-gate.md").read_text()
FILES = dict(re.findall(r"^```\{code-block\} \w+\n:caption: (\S+)\n\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
GATE = "src/grinder_plugin_acme_cap/__init__.py"
SETTINGS = "src/grinder_plugin_acme_cap/settings.py"
TESTS = "tests/test_acme_cap.py"


def arguments(command: str) -> list[list[str]]:
    """What follows a grinder command wherever the page prints it."""
    lines = PAGE.replace("\\\n", " ").splitlines()
    return [line.split()[2:] for line in lines if line.startswith(f"$ .venv/bin/grinder {command}")]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """What the page's command makes, with the page's files over it."""
    place = tmp_path_factory.mktemp("acme")
    (making,) = arguments("plugins new")
    made = grinder(sys.executable, place, *making)
    assert made.returncode == 0, made.stderr
    folder = place / "gates" / "grinder-plugin-acme-cap"
    for name, text in FILES.items():
        assert (folder / name).exists(), name
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def python(tmp_path_factory, package):
    """The interpreter of a throw-away environment: all that this one has, and the package."""
    env = tmp_path_factory.mktemp("env") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(env)], check=True)
    interpreter = env / "bin" / "python"
    command = [interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    (site / "beside.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    install(package, interpreter, site)
    return str(interpreter)


def install(package: Path, interpreter: Path, site: Path) -> None:
    """With uv where there is one; else as an installer leaves it: the package, and metadata beside it."""
    uv = shutil.which("uv") or shutil.which(ROOT / ".venv-uv" / "bin" / "uv")
    if uv is not None:
        command = [uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", interpreter, package]
        subprocess.run(command, check=True)
        return
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    shutil.copytree(package / "src", site, dirs_exist_ok=True)
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    ((group, points),) = project["entry-points"].items()
    rows = "".join(f"{name} = {target}\n" for name, target in points.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{rows}")


def grinder(python: str, cwd: Path, *args: str, path: str = "") -> subprocess.CompletedProcess[str]:
    command = [python, "-m", "grinder.cli", *args]
    environment = {**os.environ, "PYTHONPATH": path} if path else None
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=120, env=environment)


def test_the_page_has_a_gate_with_settings_and_tests_and_the_gate_is_short():
    assert set(FILES) == {GATE, SETTINGS, TESTS}
    assert len(FILES[GATE].splitlines()) < 30


def test_the_page_shows_the_entry_point_that_the_package_has(package):
    entry = re.search(r'^\[project.entry-points."grinder.plugins"\]\n.*\n', PAGE, re.MULTILINE)
    assert entry
    assert entry[0] in (package / "pyproject.toml").read_text()


def test_its_code_is_as_the_package_wants_it(package):
    for command in (["check", "."], ["format", "--check", "."]):
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *command], capture_output=True, text=True, check=False, cwd=package
        )
        assert ran.returncode == 0, ran.stdout


def test_its_own_tests_pass(python, package):
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "tests"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=package, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"\b26 passed", ran.stdout)


def test_it_is_listed_and_shown(python, tmp_path):
    (listing,) = arguments("plugins list")
    (showing,) = arguments("plugins show")
    listed = grinder(python, tmp_path, *listing)
    assert re.search(r"grinder\.plugins +acme_cap +disabled .*grinder-plugin-acme-cap", listed.stdout), listed.stderr
    shown = grinder(python, tmp_path, *showing)
    assert "max_qty" in shown.stdout, shown.stderr
    assert "ACME_CAP" in shown.stdout


def test_it_passes_the_conformance_cases(python, tmp_path):
    (checking,) = arguments("plugins check")
    checked = grinder(python, tmp_path, *checking)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "acme_cap  grinder-plugin-acme-cap 0.1.0" in checked.stdout


def test_it_blocks_orders_in_a_run_and_explains_them(python, tmp_path):
    (running,) = arguments("run")
    (explaining,) = arguments("explain")
    ran = grinder(python, tmp_path, *running)
    assert ran.returncode == 0, ran.stderr
    summary = json.loads((tmp_path / "runs" / "cap" / "summary.json").read_text())
    by_gate = summary["decisions"]["by_gate"]
    assert by_gate["acme_cap"]["block"] > 0
    assert by_gate["acme_cap"]["allow"] == by_gate["acme_cap"]["error"] == 0
    assert summary["decisions"]["by_reason"]["ACME_CAP"] > 0
    explained = grinder(python, tmp_path, *explaining)
    assert "ACME_CAP" in explained.stdout, explained.stderr
    assert "worst_qty" in explained.stdout


def test_in_shadow_it_blocks_nothing(python, tmp_path):
    (running,) = arguments("run")
    shadow = [word.replace("mode=enforce", "mode=shadow") for word in running]
    assert grinder(python, tmp_path, *shadow).returncode == 0
    summary = json.loads((tmp_path / "runs" / "cap" / "summary.json").read_text())
    assert summary["decisions"]["by_gate"]["acme_cap"]["shadow_block"] > 0
    assert summary["decisions"]["allowed"] > 0
    assert "ACME_CAP" not in summary["decisions"]["by_reason"]


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("def pre_order_gate(", "async def pre_order_gate(", "drop the async"),
        ("account: AccountView,", "acount: AccountView,", "did you mean 'account'"),
        ("-> Verdict", "-> bool", "annotated bool"),
    ],
)
def test_what_the_page_says_is_refused_is_refused(package, tmp_path, old, new, part):
    assert old in FILES[GATE]
    file = tmp_path / "acme_page.py"
    file.write_text(FILES[GATE].replace(old, new))
    file.chmod(0o600)
    tmp_path.chmod(0o700)
    showing = ("plugins", "show", "acme_page", "--set", f"host.plugins_dir={tmp_path}")
    refused = grinder(sys.executable, tmp_path, *showing, path=str(package / "src"))
    assert refused.returncode == 2
    assert part in refused.stderr
    assert "acme_page" in refused.stderr
