"""Archiving: what is over leaves the journal for the file of its day, is still found, and is never lost on the way."""

from __future__ import annotations

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from grinder.errors import StateError
from grinder.journal.identity import client_order_id
from grinder.journal.ledger import fill_key
from grinder.journal.records import OrderRecord
from grinder.journal.store import Journal
from grinder.types import Fill, IntentKind, OrderState, PositionSide, Route, Side

D = Decimal
DAY = 86_400 * 10**9
START = 19_000 * DAY
"""Midnight of 2022-01-08."""
DAYS = ["2022-01-08", "2022-01-09", "2022-01-10"]


def write(journal, count, *, first=0, open_every=10):
    """Decisions an hour apart; one of three is blocked, one of ``open_every`` orders stays open."""
    for n in range(first, first + count):
        ts_ns = START + n * DAY // 24
        intent_id = f"i{n:05d}"
        order = OrderRecord(
            intent_id=intent_id,
            client_id=client_order_id(journal.tag, intent_id),
            kind=IntentKind.PLACE,
            symbol="BTCUSDT",
            side=Side.BUY,
            position_side=PositionSide.BOTH,
            qty=D(1),
            price=D(100),
            reduce_only=False,
            route=Route.PAPER,
            venue="paper",
            account="main",
            origin="",
            target_client_id="",
            created_ns=ts_ns,
        )
        journal.record_decision(intent_id, ts_ns, b'{"id":"%d"}' % n, order if n % 3 else None)
        if n % 3:
            journal.order_event(order.client_id, "ACCEPTED", ts_ns, OrderState.OPEN, D(0))
        if n % 3 and n % open_every:
            fill = Fill(
                route=Route.PAPER,
                venue="paper",
                account="main",
                symbol="BTCUSDT",
                position_side=PositionSide.BOTH,
                trade_id=str(n),
                client_id=order.client_id,
                intent_id=intent_id,
                side=Side.BUY,
                price=D(100),
                qty=D(1),
                fee=D(0),
                fee_asset="USDT",
                maker=True,
                exchange_ns=ts_ns,
                local_ns=ts_ns,
            )
            journal.fill(fill, state=OrderState.FILLED, filled_qty=D(1))
    journal.commit()


def archived(directory):
    """Decisions and event counts in each day's file."""
    found = {}
    for path in sorted((directory / "archive").glob("*.sqlite")):
        db = sqlite3.connect(path)
        records = [record for (record,) in db.execute("SELECT record FROM intents ORDER BY seq")]
        found[path.stem] = (records, db.execute("SELECT count(*) FROM order_events").fetchone()[0])
        db.close()
    return found


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "data", sync="process", tag="abcdef") as opened:
        write(opened, 72)
        yield opened


def is_open(n):
    return n % 3 and not n % 10


def test_old_decisions_move_to_their_days_and_open_orders_stay(journal):
    before = journal.recover()
    moved = journal.archive(START + 2 * DAY)
    old = [n for n in range(48) if not is_open(n)]
    assert moved == len(old)
    days = archived(journal.directory)
    assert list(days) == DAYS[:2]
    for number, day in enumerate(DAYS[:2]):
        of_day = [n for n in old if n // 24 == number]
        assert days[day] == ([b'{"id":"%d"}' % n for n in of_day], 2 * sum(n % 3 > 0 for n in of_day))
    assert list(journal.decisions()) == [b'{"id":"%d"}' % n for n in range(72) if n not in old]
    after = journal.recover()
    assert after.orders == before.orders
    assert after.next_intent_number == before.next_intent_number == 73
    assert dict(after.ledger.holdings()) == dict(before.ledger.holdings())
    assert all(journal.has_fill(fill_key(fill)) for fill in journal.fills())
    assert len(list(journal.fills())) == before.ledger.fills
    assert {stat.S_IMODE(path.stat().st_mode) for path in (journal.directory / "archive").iterdir()} == {0o600}


def test_archived_decisions_are_found_by_either_id(journal):
    journal.archive(START + 2 * DAY)
    assert journal.decision("i00001") == journal.decision(client_order_id("abcdef", "i00001")) == b'{"id":"1"}'
    assert journal.decision("i00003") == b'{"id":"3"}'
    assert journal.decision("i00071") == b'{"id":"71"}'
    assert journal.decision("i00099") is None
    assert journal.decision("") is None


def test_an_archive_that_was_damaged_is_refused(journal):
    journal.archive(START + 2 * DAY)
    path = journal.directory / "archive" / f"{DAYS[0]}.sqlite"
    data = path.read_bytes()
    path.write_bytes(data.replace(b'{"id":"1"}', b'{"id":"2"}'))
    with pytest.raises(StateError, match=rf"{DAYS[0]}.sqlite is damaged"):
        journal.decision("i00001")


def test_archiving_again_adds_to_the_same_days(journal):
    journal.archive(START + DAY // 2)
    journal.archive(START + 2 * DAY)
    assert journal.archive(START + 2 * DAY) == 0
    assert sum(len(records) for records, _ in archived(journal.directory).values()) == 48 - sum(
        map(bool, map(is_open, range(48)))
    )


def test_dying_between_copy_and_removal_loses_and_doubles_nothing(journal):
    everything = list(journal.decisions())

    def no_removal(action, *_):
        return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_DELETE else sqlite3.SQLITE_OK

    real = sqlite3.connect

    def connect(*args, **options):
        db = real(*args, **options)
        db.set_authorizer(no_removal)
        return db

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect)
        with pytest.raises(StateError, match="not authorized"):
            journal.archive(START + 2 * DAY)
    assert list(journal.decisions()) == everything
    assert len(archived(journal.directory)[DAYS[0]][0]) > 0
    journal.archive(START + 2 * DAY)
    old = [n for n in range(48) if not is_open(n)]
    assert [record for records, _ in archived(journal.directory).values() for record in records] == [
        everything[n] for n in old
    ]
    assert journal.recover().next_intent_number == 73


def test_numbers_are_never_used_again_when_everything_was_archived(tmp_path):
    with Journal.open(tmp_path, sync="process", tag="abcdef") as journal:
        for n in range(3):
            journal.record_decision(f"i{n}", START + n, b'{"id":"%d"}' % n)
        journal.commit()
        assert journal.archive(START + DAY) == 3
    with Journal.open(tmp_path, sync="process") as journal:
        assert journal.recover().next_intent_number == 4
        for n in range(3, 6):
            journal.record_decision(f"i{n}", START + n, b'{"id":"%d"}' % n)
        journal.commit()
        assert journal.archive(START + DAY) == 3
    assert archived(tmp_path)[DAYS[0]][0] == [b'{"id":"%d"}' % n for n in range(6)]


def test_commits_go_on_meanwhile(tmp_path):
    with Journal.open(tmp_path, sync="process", tag="abcdef") as journal, ThreadPoolExecutor(1) as pool:
        write(journal, 500, open_every=10**9)
        archiving = pool.submit(journal.archive, START + 500 * DAY // 24)
        written = 500
        while not archiving.done():
            write(journal, 1, first=written, open_every=10**9)
            written += 1
        assert archiving.result() == 500
        assert len(list(journal.decisions())) == written - 500
    assert sum(len(records) for records, _ in archived(tmp_path).values()) == 500
