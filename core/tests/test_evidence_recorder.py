from __future__ import annotations

import errno
import hashlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder import Fill, PositionSide, Route, Side, StateError
from grinder.evidence.lines import MAX_LINE, LineFile, read_lines
from grinder.evidence.recorder import Recorder, canonical, fill_record
from grinder.files import write_atomic

LINE = canonical({"id": "i1", "pad": "x" * 1000})


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond ``size`` bytes: what a full disk looks like to one process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def a_fill() -> Fill:
    return Fill(
        route=Route.PAPER, venue="paper", account="main", symbol="BTCUSDT", position_side=PositionSide.BOTH,
        trade_id="t1", client_id="grinder_a", intent_id="i1", side=Side.BUY, price=Decimal("64250.10"),
        qty=Decimal("0.010"), fee=Decimal("-0.01"), fee_asset="USDT", maker=True, exchange_ns=5, local_ns=7,
    )  # fmt: skip


def test_lines_and_their_hash_are_what_was_given(tmp_path):
    recorder = Recorder(tmp_path / "run", run_id="r1")
    records = [canonical({"id": f"i{n}", "z": 1, "a": Decimal("1.50")}) for n in range(3)]
    for record in records:
        recorder.decision(record)
    recorder.fill(canonical(fill_record(a_fill())))
    assert (recorder.decisions, recorder.fills) == (3, 1)
    recorder.close()

    written = (tmp_path / "run/decisions.jsonl").read_bytes()
    assert written == b"".join(record + b"\n" for record in records)
    assert written.startswith(b'{"a":"1.50","id":"i0","z":1}\n')
    assert recorder.decisions_sha256 == hashlib.sha256(written).hexdigest()
    assert recorder.fills_sha256 == hashlib.sha256((tmp_path / "run/fills.jsonl").read_bytes()).hexdigest()
    assert (recorder.error, recorder.lost) == ("", 0)
    assert b"r1" not in written


def test_files_are_for_the_owner_only_even_if_they_were_not(tmp_path):
    stale = tmp_path / "decisions.jsonl"
    stale.write_text("of an earlier run\n")
    stale.chmod(0o644)
    recorder = Recorder(tmp_path, run_id="r")
    assert stale.read_text() == "of an earlier run\n", "nothing is replaced before there is something to write"
    recorder.close()
    assert stale.read_bytes() == b""
    assert {p.name: p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {
        "decisions.jsonl": 0o600,
        "fills.jsonl": 0o600,
        "payments.jsonl": 0o600,
    }


def test_a_link_is_not_followed(tmp_path):
    target = tmp_path / "elsewhere"
    target.write_text("precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/decisions.jsonl").symlink_to(target)
    recorder = Recorder(tmp_path / "run", run_id="r")
    recorder.decision(LINE)
    recorder.close()
    assert target.read_text() == "precious"
    assert "decisions.jsonl cannot be written" in recorder.error
    assert recorder.lost == 1


def test_records_are_buffered_by_size(tmp_path):
    recorder = Recorder(tmp_path, run_id="r")
    path = tmp_path / "decisions.jsonl"
    recorder.decision(LINE)
    assert path.stat().st_size == 0
    recorder.flush()
    assert path.stat().st_size == len(LINE) + 1
    for _ in range(100):
        recorder.decision(LINE)
    assert path.stat().st_size > 64 * 1024
    recorder.close()


def test_a_full_disk_is_told_and_nothing_is_lost_when_space_returns(tmp_path):
    recorder = Recorder(tmp_path, run_id="r")
    with disk_of(100_000):
        for _ in range(500):
            recorder.decision(LINE)
        recorder.flush()
        assert "File too large" in recorder.error
        assert str(tmp_path) in recorder.error
        assert recorder.lost == 0
        assert (tmp_path / "decisions.jsonl").stat().st_size == 100_000
    recorder.flush()
    assert (recorder.error, recorder.lost) == ("", 0)
    recorder.close()
    written = (tmp_path / "decisions.jsonl").read_bytes()
    assert written == (LINE + b"\n") * 500
    assert recorder.decisions_sha256 == hashlib.sha256(written).hexdigest()


def test_a_disk_that_stays_full_loses_counted_lines_in_bounded_memory(tmp_path):
    recorder = Recorder(tmp_path, run_id="r")
    with disk_of(100_000):
        for _ in range(9000):
            recorder.decision(LINE)
        assert len(recorder._decisions._waiting) < 5 << 20
        assert 0 < recorder.lost < 9000
    recorder.flush()
    assert "lines are missing" in recorder.error, "space is back, but the file has a hole"
    recorder.close()
    written = (tmp_path / "decisions.jsonl").read_bytes()
    assert written == (LINE + b"\n") * (9000 - recorder.lost), "only whole lines"
    assert recorder.decisions_sha256 == hashlib.sha256((LINE + b"\n") * 9000).hexdigest()


def test_what_could_not_be_written_at_close_is_lost_and_counted(tmp_path):
    recorder = Recorder(tmp_path, run_id="r")
    with disk_of(1500):
        for _ in range(4):
            recorder.decision(LINE)
        recorder.close()
    assert recorder.lost == 3
    assert recorder.error
    recorder.decision(LINE)
    recorder.flush()
    assert recorder.lost == 4, "a closed recorder takes nothing more, visibly"


def test_a_deleted_directory_is_noticed_and_restored_from_the_journal(tmp_path):
    run = tmp_path / "run"
    recorder = Recorder(run, run_id="r")
    recorder.decision(LINE)
    recorder.flush()
    for path in run.iterdir():
        path.unlink()
    run.rmdir()
    recorder.decision(LINE)
    recorder.flush()
    assert "deleted while in use" in recorder.error
    assert recorder.lost == 2
    recorder.decision(LINE)
    recorder.flush()
    assert recorder.lost == 3

    recorder.restore([LINE] * 3, [])
    assert (recorder.error, recorder.lost, recorder.decisions) == ("", 0, 3)
    recorder.decision(LINE)
    recorder.close()
    assert (run / "decisions.jsonl").read_bytes() == (LINE + b"\n") * 4


def test_a_directory_that_cannot_be_made_is_told_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    recorder = Recorder(tmp_path / "file/run", run_id="r")
    assert "cannot be written: Not a directory" in recorder.error
    recorder.decision(LINE)
    recorder.close()
    assert recorder.lost == 1


def test_resume_rewrites_both_files_and_the_hash_equals_an_unbroken_run(tmp_path):
    lines = [canonical({"id": f"i{n}"}) for n in range(10)]
    whole = Recorder(tmp_path / "whole", run_id="r")
    for line in lines:
        whole.decision(line)
        whole.fill(line)
    whole.close()

    broken = Recorder(tmp_path / "broken", run_id="r")
    for line in lines[:4]:
        broken.decision(line)
    broken.close()
    path = tmp_path / "broken/decisions.jsonl"
    path.write_bytes(path.read_bytes()[:-5])

    resumed = Recorder(tmp_path / "broken", run_id="r")
    resumed.restore(iter(lines[:6]), iter(lines[:6]))
    assert path.read_bytes().count(b"\n") == 6, "on disk before anything new is decided"
    for line in lines[6:]:
        resumed.decision(line)
        resumed.fill(line)
    resumed.close()
    assert resumed.decisions_sha256 == whole.decisions_sha256 == resumed.fills_sha256
    assert path.read_bytes() == (tmp_path / "whole/decisions.jsonl").read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path / "broken") == ["decisions.jsonl", "fills.jsonl", "payments.jsonl"]


def test_a_journal_that_cannot_be_read_leaves_the_old_records(tmp_path):
    recorder = Recorder(tmp_path, run_id="r")
    recorder.decision(LINE)
    recorder.flush()

    def broken() -> Iterator[bytes]:
        yield LINE
        raise StateError("the journal is corrupt")

    with pytest.raises(StateError):
        recorder.restore(broken(), [])
    assert (tmp_path / "decisions.jsonl").read_bytes() == LINE + b"\n"
    assert names(tmp_path) == ["decisions.jsonl", "fills.jsonl", "payments.jsonl"]
    recorder.close()


def test_a_restore_that_fails_is_told_and_what_follows_is_counted(tmp_path):
    recorder = Recorder(tmp_path, run_id="r")
    with disk_of(10_000):
        recorder.restore([LINE] * 100, [])
    assert "File too large" in recorder.error
    recorder.decision(LINE)
    recorder.flush()
    assert recorder.lost == 1
    assert not list(tmp_path.glob(".*"))
    recorder.close()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.one_of(st.binary(max_size=40).map(lambda b: canonical(b.hex())), st.none()), max_size=60))
def test_any_mix_of_lines_and_flushes_gives_the_same_file(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("lines") / "x.jsonl"
    file = LineFile(path)
    for step in steps:
        if step is None:
            file.flush()
            file.hexdigest()
        else:
            file.append(step)
    file.close()
    expected = b"".join(step + b"\n" for step in steps if step is not None)
    assert path.read_bytes() == expected
    assert file.hexdigest() == hashlib.sha256(expected).hexdigest()
    assert file.count == expected.count(b"\n")


@pytest.mark.parametrize("tail", [b"", b'{"half":', b"x" * 200_000])
def test_a_kept_file_is_continued_after_its_last_whole_line(tmp_path, tail):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"one\n" + tail)
    file = LineFile(path, keep=True)
    file.append(b"two")
    file.close()
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_kept_file_without_a_whole_line_is_emptied(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"half")
    LineFile(path, keep=True).close()
    assert path.read_bytes() == b""


def test_the_encoding_does_not_depend_on_the_hash_seed():
    code = (
        "from grinder.evidence.recorder import canonical; from decimal import Decimal\n"
        "d = {k: 1 for k in {'b', 'a', 'c', 'dd'}} | {'n': float('nan'), 'q': Decimal('1.10')}\n"
        "print(canonical({'x': d}).decode())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert seen == {'{"x":{"a":1,"b":1,"c":1,"dd":1,"n":null,"q":"1.10"}}\n'}


def test_a_fill_record_holds_event_times_and_exact_money():
    row = msgspec.json.decode(canonical(fill_record(a_fill())))
    assert row == {
        "account": "main", "client_id": "grinder_a", "exchange_ns": 5, "fee": "-0.01", "fee_asset": "USDT",
        "intent_id": "i1", "maker": True, "position_side": "BOTH", "price": "64250.10", "qty": "0.010",
        "route": "paper", "side": "BUY", "symbol": "BTCUSDT", "trade_id": "t1", "ts_ns": 7, "venue": "paper",
    }  # fmt: skip


@pytest.mark.parametrize("nothing", ["0E-8", "-0.00", "0"])
def test_nothing_is_written_as_such(nothing):
    assert b'"fee":"0"' in canonical(fill_record(msgspec.structs.replace(a_fill(), fee=Decimal(nothing))))


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free space or raise the quota"),
        (errno.EACCES, "mend its permissions or name another place"),
        (errno.EROFS, "mend its permissions or name another place"),
        (errno.ENOENT, "no file can be made there: name another place"),
        (errno.EIO, "look after the disk or name another place"),
    ],
)
def test_what_to_do_about_a_file_fits_why_it_cannot_be_written(tmp_path, monkeypatch, number, advice):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("grinder.files.create", fail)
    with pytest.raises(StateError, match=f"x cannot be written: {os.strerror(number)}; {advice}$"):
        write_atomic(tmp_path / "x", b"")


def test_lines_are_read_with_their_number_and_whether_they_ended(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"a\n\nb")
    assert list(read_lines(path)) == [(1, b"a", True), (2, b"", True), (3, b"b", False)]
    path.write_bytes(b"x" * (MAX_LINE + 1))
    assert [(number, len(line), ended) for number, line, ended in read_lines(path)] == [
        (1, MAX_LINE, True),
        (2, 1, False),
    ]


def test_a_whole_file_appears_at_once_or_not_at_all(tmp_path):
    path = tmp_path / "state.json"
    write_atomic(path, b"old")
    with disk_of(2), pytest.raises(StateError, match=r"state\.json cannot be written: File too large"):
        write_atomic(path, b"new and longer")
    assert path.read_bytes() == b"old"
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["state.json"]


def test_dev_full_is_told(tmp_path):
    file = LineFile(tmp_path / "x")
    os.close(file._fd)
    file._fd = os.open("/dev/full", os.O_WRONLY)
    file._begun = True
    file.append(b"line")
    file.flush()
    assert "No space left on device" in file.error
    assert file.count == 1
    file.close()
    assert file.lost == 1


def test_a_directory_without_permission_is_told(tmp_path: Path):
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    tmp_path.chmod(0o500)
    recorder = Recorder(tmp_path, run_id="r")
    assert "Permission denied" in recorder.error
