"""Files that commands are told to write: none replaces what a run, a state or a recording needs."""

from __future__ import annotations

import os
import shutil

import pytest

from grinder.cli.main import invoke
from grinder.engine.options import RunOptions
from grinder.engine.session import Session
from grinder.feeds.recorder import Recorder
from grinder.feeds.synthetic import Synthetic

KEPT = (
    "summary.json", "decisions.jsonl", "fills.jsonl", "timeline.jsonl", "markouts.jsonl", "payments.jsonl",
    "settings.json", "metrics.prom", "report.html", "state/journal.sqlite", "state/journal.lock",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    Session.open(RunOptions(out=folder / "mine", duration=9 * 10**9)).run()
    shutil.copytree(folder / "mine", folder / "other")
    Recorder(folder / "recording", Synthetic(1, duration_ns=10**9)).run()
    return folder


def commands(made):
    mine = str(made / "mine")
    return {
        "report": ("report", mine, "--out"),
        "compare": ("compare", mine, mine, "--out"),
        "whatif": ("whatif", mine, "--set", "plugins.liquidity_by_side.alpha=3", "--out"),
        "gaps": ("data", "gaps", "--root", str(made / "recording"), "--output"),
        "run": ("run", "--duration", "1s", "--out", str(made / "unused"), "--log-file"),
    }


def everything(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()}


@pytest.fixture
def unchanged(made):
    before = everything(made)
    yield
    assert everything(made) == before


NAMES = ("report", "compare", "whatif", "gaps", "run")


@pytest.mark.parametrize("command", NAMES)
@pytest.mark.parametrize("name", KEPT)
@pytest.mark.usefixtures("unchanged")
def test_nothing_of_another_run_is_replaced(made, capsys, command, name):
    target = made / "other" / name
    assert invoke([*commands(made)[command], str(target)]) == 2
    error = capsys.readouterr().err
    assert str(target) in error
    assert "must stay as it is" in error


@pytest.mark.parametrize("command", NAMES)
@pytest.mark.usefixtures("unchanged")
def test_a_record_that_is_missing_is_not_made_up(made, tmp_path, command):
    """A run whose payments were lost must not find foreign lines in their place."""
    shutil.copy(made / "other" / "fills.jsonl", tmp_path)
    assert invoke([*commands(made)[command], str(tmp_path / "payments.jsonl")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["fills.jsonl"]


@pytest.mark.parametrize("command", NAMES)
@pytest.mark.usefixtures("unchanged")
def test_a_recording_is_not_replaced(made, command):
    partition = next((made / "recording").rglob("*.parquet"))
    for path in (made / "recording" / "recording.json", partition, partition.with_suffix(".json")):
        assert invoke([*commands(made)[command], str(path)]) == 2


@pytest.mark.parametrize("command", NAMES[:4])
@pytest.mark.usefixtures("unchanged")
def test_links_and_what_is_no_file_are_refused(made, tmp_path, capsys, command):
    (tmp_path / "link").symlink_to(made / "other" / "fills.jsonl")
    (tmp_path / "loose").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "loose", "pipe"):
        assert invoke([*commands(made)[command], str(tmp_path / name)]) == 2
        assert "is a link or no ordinary file" in capsys.readouterr().err
    assert invoke([*commands(made)[command], str(tmp_path)]) == 2
    assert invoke([*commands(made)[command], str(tmp_path / "none" / "file")]) == 2
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.usefixtures("unchanged")
def test_a_log_does_not_go_into_a_record_through_a_link(made, tmp_path):
    (tmp_path / "run.log").symlink_to(made / "other" / "fills.jsonl")
    assert invoke([*commands(made)["run"], str(tmp_path / "run.log")]) == 2


@pytest.mark.parametrize("command", NAMES[:4])
@pytest.mark.usefixtures("unchanged")
def test_a_second_name_of_a_record_is_replaced_and_the_record_stays(made, tmp_path, command):
    target = tmp_path / "answer"
    target.hardlink_to(made / "other" / "fills.jsonl")
    assert invoke([*commands(made)[command], str(target)]) == 0
    assert not target.samefile(made / "other" / "fills.jsonl")


@pytest.mark.parametrize("command", NAMES[:4])
def test_a_file_is_there_whole_or_not_at_all(made, tmp_path, monkeypatch, command):
    target = tmp_path / "answer"
    target.write_text("before")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert invoke([*commands(made)[command], str(target)]) == 3
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["answer"]


def test_a_scanned_file_is_not_replaced_by_its_gaps(tmp_path, capsys):
    text = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
    path = tmp_path / "BTCUSDT-aggTrades-2024-08-09.csv"
    path.write_text(text + "1,1,1,1,1,1723161600000,true\n")
    assert invoke(["data", "gaps", "--root", str(tmp_path), "--output", str(path)]) == 2
    assert "is one of the recordings that were scanned" in capsys.readouterr().err
    assert path.read_text().startswith(text)


def test_names_of_records_are_free_where_no_run_lies(made, tmp_path):
    target = tmp_path / "decisions.jsonl"
    assert invoke([*commands(made)["whatif"], str(target)]) == 0
    assert target.is_file()
