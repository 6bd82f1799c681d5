"""The screen that README and tutorial show is what the command prints, but for what depends on time and place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VARIES = ("run ", "events ", "decision ", "evidence ", "try ")


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    command = [sys.executable, "-m", "grinder.cli", "run", "--profile", "paper", "--out", "out"]
    folder = tmp_path_factory.mktemp("figures")
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, cwd=folder).stdout


@pytest.mark.parametrize("page", ["README.md", "docs/tutorials/first-paper-run.md"])
def test_every_line_of_the_screen_is_shown(screen, page):
    lines = screen.splitlines()
    shown = (ROOT / page).read_text().splitlines()
    begin = next(number for number, line in enumerate(shown) if line.startswith("run  "))
    wanted = [line for line in lines if not line.startswith(VARIES)]
    assert [line for line in shown[begin : begin + len(lines)] if not line.startswith(VARIES)] == wanted
