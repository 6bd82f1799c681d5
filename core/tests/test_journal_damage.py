"""A damaged journal is refused with an error that says what to do, is left as it is, and never read wrongly."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import struct
import tempfile
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder.errors import StateError
from grinder.journal.identity import client_order_id
from grinder.journal.reading import Reader
from grinder.journal.records import OrderRecord
from grinder.journal.store import Journal
from grinder.types import Fill, IntentKind, OrderState, PositionSide, Route, Side

D = Decimal
TAG = "abcdef"
DB, WAL, SHM = "journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"
HELP = r"is damaged: .*Nothing was changed.*Move .* aside"


def write(journal, first, last):
    """Decisions, orders, events, fills and state, one commit each."""
    for n in range(first, last):
        intent_id = f"i{n:05d}"
        order = OrderRecord(
            intent_id=intent_id,
            client_id=client_order_id(TAG, intent_id),
            kind=IntentKind.PLACE,
            symbol="BTCUSDT",
            side=Side.BUY,
            position_side=PositionSide.BOTH,
            qty=D("0.002"),
            price=D(60000 + n),
            reduce_only=False,
            route=Route.PAPER,
            venue="paper",
            account="main",
            origin="grid",
            target_client_id="",
            created_ns=1000 + n,
        )
        fill = Fill(
            route=Route.PAPER,
            venue="paper",
            account="main",
            symbol="BTCUSDT",
            position_side=PositionSide.BOTH,
            trade_id=str(n),
            client_id=order.client_id,
            intent_id=intent_id,
            side=Side.SELL if n % 3 else Side.BUY,
            price=D(60000 + n),
            qty=D("0.001"),
            fee=D("0.012"),
            fee_asset="USDT",
            maker=True,
            exchange_ns=2000 + n,
            local_ns=2000 + n,
        )
        journal.record_decision(intent_id, 1000 + n, b'{"id":"%d","outcome":"allowed"}' % n, order if n % 4 else None)
        if n % 4:
            journal.order_event(order.client_id, "ACCEPTED", 1500 + n, OrderState.OPEN, D(0), venue_order_id=str(n))
            state = OrderState.PARTIAL if n % 2 else OrderState.FILLED
            journal.fill(fill, state=state, filled_qty=D("0.001"))
        journal.put_state("feed", {"position": n})
        journal.commit()


def content(journal):
    recovered = journal.recover()
    return (
        recovered.tag,
        recovered.next_intent_number,
        recovered.orders,
        list(recovered.ledger.holdings()),
        recovered.cursors,
        recovered.state,
        recovered.last_event_ns,
        list(journal.decisions()),
        list(journal.fills()),
        [list(journal.events(order.client_id)) for order in recovered.orders],
    )


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A journal that was closed: all of it is in the database file."""
    directory = tmp_path_factory.mktemp("closed")
    with Journal.open(directory, sync="process", tag=TAG) as journal:
        write(journal, 0, 24)
        expected = content(journal)
    return directory, expected


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    """What a process that was killed leaves: part of it in the database file, part in the log of a later generation."""
    directory = tmp_path_factory.mktemp("crashed")
    image = directory / "image"
    with Journal.open(directory / "live", sync="process", tag=TAG) as journal:
        write(journal, 0, 60)
        journal.checkpoint()
        write(journal, 60, 68)
        expected = content(journal)
        shutil.copytree(directory / "live", image, ignore=shutil.ignore_patterns("*.lock"))
    return image, expected


@contextmanager
def copy_of(directory):
    """A copy to damage, removed afterwards."""
    copy = directory.parent / f"{directory.name}-copy"
    shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("*.lock"))
    try:
        yield copy
    finally:
        shutil.rmtree(copy)


def contents_of(directory):
    """The files that matter: the wal-index is made anew by whoever opens the journal."""
    return {
        path.name: path.read_bytes() for path in directory.iterdir() if path.name in (DB, WAL) and path.stat().st_size
    }


def refused(directory):
    """The message with which opening is refused; nothing was changed."""
    before = contents_of(directory)
    with pytest.raises(StateError) as refusal, Journal.open(directory, sync="process"):
        pass
    assert contents_of(directory) == before
    return str(refusal.value)


def refused_or_right(directory, expected):
    """What is not refused, with nothing changed, is as it was written."""
    before = contents_of(directory)
    try:
        journal = Journal.open(directory, sync="process")
    except StateError:
        assert contents_of(directory) == before
    else:
        with journal:
            assert content(journal) == expected


def flip(path, position, mask):
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= mask
    path.write_bytes(data)


masks = st.one_of(st.sampled_from([1 << bit for bit in range(8)]), st.integers(1, 255))


def test_what_is_not_damaged_is_read(closed, crashed):
    for directory, expected in (closed, crashed):
        with copy_of(directory) as copy, Journal.open(copy, sync="process") as journal:
            assert content(journal) == expected


@settings(deadline=None, max_examples=60)
@given(position=st.integers(0, 10**6), mask=masks)
def test_any_flipped_byte_of_the_database_is_refused_or_harmless(closed, position, mask):
    directory, expected = closed
    with copy_of(directory) as copy:
        flip(copy / DB, position, mask)
        refused_or_right(copy, expected)


@settings(deadline=None, max_examples=60)
@given(position=st.integers(0, 10**6), mask=masks)
def test_any_flipped_byte_of_the_log_is_refused_or_harmless(crashed, position, mask):
    directory, expected = crashed
    with copy_of(directory) as copy:
        flip(copy / WAL, position, mask)
        refused_or_right(copy, expected)


@settings(deadline=None, max_examples=15)
@given(position=st.integers(0, 10**5), mask=masks)
def test_a_flipped_byte_of_the_index_is_harmless(crashed, position, mask):
    directory, expected = crashed
    with copy_of(directory) as copy:
        flip(copy / SHM, position, mask)
        with Journal.open(copy, sync="process") as journal:
            assert content(journal) == expected


@settings(deadline=None, max_examples=60)
@given(length=st.integers(0, 10**6), name=st.sampled_from([DB, WAL]))
def test_a_truncated_file_is_refused(closed, crashed, length, name):
    directory, expected = closed if name == DB else crashed
    with copy_of(directory) as copy:
        os.truncate(copy / name, length % (copy / name).stat().st_size)
        refused_or_right(copy, expected)


@pytest.mark.parametrize("number", ["60001", "0.001", "0.012"])
@pytest.mark.parametrize("killed", [False, True])
def test_a_digit_of_a_fill_that_changed_on_the_disk_is_noticed(closed, crashed, number, killed):
    directory, _ = crashed if killed else closed
    with copy_of(directory) as copy:
        data = (copy / DB).read_bytes()
        changed = data.replace(number.encode(), number.replace("1", "7").encode())
        assert changed != data
        (copy / DB).write_bytes(changed)
        assert "does not match its checksum" in refused(copy)


def test_an_index_that_misses_a_fill_is_noticed(closed):
    directory, _ = closed
    with copy_of(directory) as copy:
        data = (copy / DB).read_bytes()
        # A row goes on with the route; an entry of the index, which holds the key only, does not.
        changed = re.sub(rb"papermainBTCUSDT17(?!paper)", b"papermainBTCUSDT71", data)
        assert changed != data
        (copy / DB).write_bytes(changed)
        assert "index" in refused(copy)


def frames(wal):
    """Offset and salt of each frame of the log."""
    data = wal.read_bytes()
    (page_size,) = struct.unpack_from(">I", data, 8)
    offsets = range(32, len(data) - page_size - 23, page_size + 24)
    return [offset for offset in offsets if data[offset + 8 : offset + 16] == data[16:24]], page_size


def test_damage_in_the_middle_of_the_log_is_noticed_without_the_index(crashed):
    directory, _ = crashed
    with copy_of(directory) as copy:
        (copy / SHM).unlink()
        offsets, _ = frames(copy / WAL)
        flip(copy / WAL, offsets[len(offsets) // 2] + 100, 1)
        assert f"frame {len(offsets) // 2 + 1} of {WAL} is damaged" in refused(copy)


def test_a_torn_last_frame_without_the_index_is_what_a_kill_leaves(crashed):
    directory, expected = crashed
    with copy_of(directory) as copy:
        (copy / SHM).unlink()
        offsets, page_size = frames(copy / WAL)
        with (copy / WAL).open("r+b") as file:
            last = file.seek(offsets[-1]) and file.read(24 + page_size)
            torn = struct.pack(">2I", 2, 30) + last[8:16] + bytes(8 + page_size)
            file.seek(offsets[-1] + 24 + page_size)
            file.write(torn)
        with Journal.open(copy, sync="process") as journal:
            assert content(journal) == expected


def test_an_unreadable_header_of_the_log_is_refused_without_the_index(crashed):
    directory, _ = crashed
    with copy_of(directory) as copy:
        (copy / SHM).unlink()
        flip(copy / WAL, 20, 255)
        assert "header" in refused(copy)


def test_a_log_that_was_taken_away_is_noticed(crashed):
    directory, _ = crashed
    with copy_of(directory) as copy:
        (copy / WAL).unlink()
        assert f"{WAL} is missing" in refused(copy)


def test_a_log_of_another_time_is_noticed(crashed):
    directory, _ = crashed
    with copy_of(directory) as copy, copy_of(copy) as other:
        with Journal.open(other, sync="process") as journal:
            write(journal, 68, 74)
            shutil.copy(other / WAL, copy / WAL)
        assert f"{WAL} is missing or unreadable" in refused(copy)


def test_a_log_that_was_copied_completely_may_be_lost(crashed, tmp_path):
    with Journal.open(tmp_path / "live", sync="process", tag=TAG) as journal:
        write(journal, 0, 16)
        journal.checkpoint()
        expected = content(journal)
        shutil.copytree(tmp_path / "live", tmp_path / "image", ignore=shutil.ignore_patterns("*.lock"))
    (tmp_path / "image" / WAL).unlink()
    with Journal.open(tmp_path / "image", sync="process") as journal:
        assert content(journal) == expected


def test_a_log_without_its_database_is_refused(crashed):
    directory, _ = crashed
    with copy_of(directory) as copy:
        (copy / DB).unlink()
        message = refused(copy)
        assert f"{DB} is missing but {WAL} is there" in message
        assert not (copy / DB).exists()


# Files that are no journal


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "not a journal of grinder"),
        (b"\0" * 8192, "file is not a database"),
        (b"hello, operator\n" * 500, "file is not a database"),
        (b"SQLite format 3\0", "not a journal|not a database"),
    ],
)
def test_what_is_no_database_is_refused(tmp_path, data, what):
    (tmp_path / DB).write_bytes(data)
    with pytest.raises(StateError, match=HELP) as refusal:
        Journal.open(tmp_path)
    assert refusal.match(what)
    assert (tmp_path / DB).read_bytes() == data


def change(directory, *statements):
    with sqlite3.connect(directory / DB, isolation_level=None) as db:
        for statement in statements:
            db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("PRAGMA application_id = 7", r"not a journal of grinder \(application id 0x7\)"),
        ("PRAGMA user_version = 9", "has format 9, not 2: use the grinder that wrote it"),
        ("DROP TABLE cursors", "its tables are not those of a journal"),
        ("ALTER TABLE fills ADD COLUMN more TEXT", "its tables are not those of a journal"),
        ("UPDATE fills SET qty = '7' WHERE seq = 4", "does not match its checksum"),
        ("UPDATE intents SET record = x'00' WHERE seq = 1", "does not match its checksum"),
        ("UPDATE order_events SET state = 'FILLED' WHERE seq = 3", "does not match its checksum"),
        ("UPDATE cursors SET last_trade_id = '0'", "does not match its checksum"),
        ("UPDATE state SET value = '{}'", "does not match its checksum"),
        ("UPDATE meta SET value = 'ghijkl' WHERE key = 'tag'", "does not match its checksum"),
    ],
)
def test_a_journal_that_somebody_changed_is_refused(closed, statement, what):
    directory, _ = closed
    with copy_of(directory) as copy:
        change(copy, statement)
        with pytest.raises(StateError, match=what):
            Journal.open(copy)


def test_a_directory_in_place_of_the_journal_is_refused(tmp_path):
    (tmp_path / DB).mkdir()
    with pytest.raises(StateError, match="is not a file"):
        Journal.open(tmp_path)


def test_a_file_in_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(StateError, match=r"data directory .*data cannot be used"):
        Journal.open(tmp_path / "data")


def test_a_reader_needs_a_journal(tmp_path):
    with pytest.raises(StateError, match=f"{DB} is not there"):
        Reader.open(tmp_path)


def test_a_start_that_was_interrupted_is_not_damage(tmp_path):
    (tmp_path / f"{DB}.new").write_bytes(b"half a journal")
    (tmp_path / f"{DB}.new-journal").write_bytes(b"half a journal")
    with Journal.open(tmp_path, tag=TAG) as journal:
        assert journal.tag == TAG
    assert not list(tmp_path.glob("*.new*"))


@contextmanager
def nobody():
    """Without the rights of the superuser, which no permission stops."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def unprivileged():
    """A directory that ``nobody`` owns and reaches."""
    with tempfile.TemporaryDirectory() as directory:
        if not os.geteuid():
            os.chown(directory, 65534, 65534)
        yield Path(directory)


def test_without_permission_to_write_it_is_refused(unprivileged):
    directory = unprivileged / "data"
    with nobody():
        with Journal.open(directory, sync="process", tag=TAG) as journal:
            write(journal, 0, 4)
        for path in directory.iterdir():
            path.chmod(0o400)
        directory.chmod(0o500)
        with pytest.raises(StateError, match=r"data directory .* cannot be used: Permission denied"):
            Journal.open(directory)
        (directory / "journal.lock").chmod(0o600)
        with pytest.raises(StateError, match="cannot be opened or read"):
            Journal.open(directory)
        directory.chmod(0o700)
        (directory / DB).chmod(0o000)
        with pytest.raises(StateError, match="cannot be opened or read"):
            Reader.open(directory).recover()
        (directory / DB).chmod(0o600)
        with Journal.open(directory, sync="process") as journal:
            assert len(list(journal.decisions())) == 4
