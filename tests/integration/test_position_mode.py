"""Engine and paper exchange keep the same legs: it follows, or the run is refused before it touches anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from grinder import PositionSide, TimeInForce
from grinder_exchange_paper import Settings, create

ENGINE, PAPER = "engine.position_mode", "exchanges.paper.position_mode"


def grinder(cwd: Path, *args: str, **modes: str) -> subprocess.CompletedProcess[str]:
    keys = {"engine": ENGINE, "paper": PAPER}
    sets = [part for name, mode in modes.items() for part in ("--set", f"{keys[name]}={mode}")]
    command = [sys.executable, "-m", "grinder.cli", "run", "--duration", "2s", "--out", "out", *args, *sets]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=cwd)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("modes", [{}, {"engine": "hedge"}, {"engine": "hedge", "paper": "hedge"}])
def test_the_account_is_in_the_engines_mode(tmp_path, modes):
    done = grinder(tmp_path, **modes)
    assert done.returncode == 0, done.stderr
    began = json.loads((tmp_path / "out" / "state" / "paper.jsonl").read_text().splitlines()[0])
    assert began[0]["position_mode"] == modes.get("engine", "one_way")


@pytest.mark.parametrize(
    ("modes", "says"),
    [
        ({"paper": "hedge"}, f"{PAPER}: hedge, but {ENGINE} is one_way; leave it out to follow the engine"),
        ({"paper": "one_way", "engine": "hedge"}, f"{PAPER}: one_way, but {ENGINE} is hedge; leave it out"),
    ],
)
def test_a_contradiction_is_refused_and_nothing_is_written(tmp_path, modes, says):
    done = grinder(tmp_path, **modes)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_earlier_run_survives_a_contradiction_and_another_mode(tmp_path):
    assert grinder(tmp_path).returncode == 0
    before = contents(tmp_path)
    assert grinder(tmp_path, paper="hedge").returncode == 2
    assert grinder(tmp_path, "--resume", paper="hedge").returncode == 2
    assert contents(tmp_path) == before
    other = grinder(tmp_path, "--resume", "--duration", "3s", engine="hedge")
    assert other.returncode == 3, other.stderr
    assert "was written in position mode one_way, settings say hedge" in other.stderr


def test_both_legs_of_a_hedge_trade_without_a_word_to_the_paper_exchange(bench, place):
    bench.venue = create(Settings())

    def step(second, account):
        if second == 1:
            long = place.buy(price="60100.0", position_side=PositionSide.LONG, tif=TimeInForce.IOC)
            return [long, place.sell(price="59900.0", position_side=PositionSide.SHORT, tif=TimeInForce.IOC)]
        return ()

    summary = bench.run(step, overrides=("engine.position_mode=hedge",))
    assert (summary.orders.rejected, summary.fills) == (0, 2)
    assert {(leg.position_side, leg.qty > 0) for leg in bench.venue.state.account.positions()} == {
        (PositionSide.LONG, True),
        (PositionSide.SHORT, False),
    }
