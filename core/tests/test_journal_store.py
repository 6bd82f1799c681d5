"""The journal: what is committed is there after a restart, whole; a failed commit loses nothing; one process only."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import msgspec
import pytest

from grinder.errors import StateError
from grinder.journal import store
from grinder.journal.identity import client_order_id, is_tag
from grinder.journal.ledger import Ledger, fill_key
from grinder.journal.lookup import Lookup
from grinder.journal.reading import Reader
from grinder.journal.records import OrderRecord
from grinder.journal.store import Journal, JournalUnavailable
from grinder.types import (
    Fill,
    FillCause,
    IntentKind,
    OrderState,
    Payment,
    PaymentKind,
    PositionSide,
    Route,
    Side,
    Trigger,
    TriggerKind,
    TriggerSource,
)

D = Decimal
TAG = "abcdef"
CURSOR = ("paper", "main", "BTCUSDT")


def make_order(intent_id, **other):
    fields = {
        "kind": IntentKind.PLACE,
        "symbol": "BTCUSDT",
        "side": Side.BUY,
        "position_side": PositionSide.BOTH,
        "qty": D("0.004"),
        "price": D("60000.10"),
        "reduce_only": False,
        "route": Route.PAPER,
        "venue": "paper",
        "account": "main",
        "origin": "grid",
        "target_client_id": "",
        "created_ns": 1000,
    }
    return OrderRecord(intent_id=intent_id, client_id=client_order_id(TAG, intent_id), **(fields | other))


def make_fill(trade_id, order, **other):
    fields = {
        "route": order.route,
        "venue": order.venue,
        "account": order.account,
        "symbol": order.symbol,
        "position_side": order.position_side,
        "client_id": order.client_id,
        "intent_id": order.intent_id,
        "side": order.side,
        "price": D("60000.10"),
        "qty": D("0.001"),
        "fee": D("-0.0012"),
        "fee_asset": "USDT",
        "maker": True,
        "exchange_ns": 5000 + int(trade_id),
        "local_ns": 6000 + int(trade_id),
    }
    return Fill(trade_id=str(trade_id), **(fields | other))


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "data", sync="process", tag=TAG) as opened:
        yield opened


def reopened(journal, **options):
    journal.close()
    return Journal.open(journal.directory, sync="process", **options)


def place(journal, intent_id, **other):
    order = make_order(intent_id, **other)
    journal.record_decision(intent_id, 2000, b'{"id":"%s"}' % intent_id.encode(), order)
    return order


def test_a_new_journal_is_empty_and_private(journal):
    recovered = journal.recover()
    assert (recovered.tag, recovered.generation, recovered.next_intent_number) == (TAG, 1, 1)
    assert (recovered.orders, recovered.cursors, recovered.state, recovered.last_event_ns) == ((), {}, {}, 0)
    assert list(recovered.ledger.positions()) == []
    assert not journal.finished
    assert journal.pending == 0
    journal.put_state("a", 1)
    journal.commit()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in journal.directory.iterdir()}
    assert set(modes.values()) == {0o600}
    assert "journal.sqlite-wal" in modes
    assert stat.S_IMODE(journal.directory.stat().st_mode) == 0o700


def test_an_open_mode_is_tightened(journal):
    journal.path.chmod(0o644)
    with reopened(journal):
        assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600


def test_everything_committed_comes_back(journal):
    first = place(journal, "i1")
    place(journal, "i2", reduce_only=True, price=None, kind=IntentKind.PLACE, side=Side.SELL)
    journal.record_decision("i3", 2500, b'{"id":"i3","outcome":"blocked"}')
    journal.commit()
    journal.order_event(first.client_id, "ACCEPTED", 3000, OrderState.OPEN, D(0), venue_order_id="v-9", detail="ok")
    journal.order_event(first.client_id, "AMENDED", 3500, OrderState.OPEN, D(0), qty=D("0.005"), price=D("60001.0"))
    fill = make_fill(7, first)
    journal.fill(fill, state=OrderState.PARTIAL, filled_qty=D("0.001"))
    journal.put_state("trading_state", {"state": "REDUCE_ONLY", "since": 17})
    journal.put_state("trading_state", {"state": "HALTED", "since": 18})
    journal.commit()

    with reopened(journal, tag=TAG) as again:
        recovered = again.recover()
        assert (recovered.generation, recovered.next_intent_number, recovered.last_event_ns) == (2, 4, 6007)
        one, two = recovered.orders
        assert one == make_order(
            "i1",
            state=OrderState.PARTIAL,
            filled_qty=D("0.001"),
            qty=D("0.005"),
            price=D("60001.0"),
            venue_order_id="v-9",
            updated_ns=6007,
        )
        assert one.open_order().remaining == D("0.004")
        assert two == make_order("i2", reduce_only=True, price=None, side=Side.SELL, updated_ns=2000)
        assert recovered.state == {"trading_state": {"state": "HALTED", "since": 18}}
        assert list(again.fills()) == [fill]
        cursor = recovered.cursors[CURSOR]
        assert (cursor.last_exchange_ns, cursor.last_trade_id, cursor.updated_ns) == (5007, "7", 6007)
        expected = Ledger()
        expected.apply(fill)
        assert dict(recovered.ledger.holdings()) == dict(expected.holdings())
        assert not recovered.ledger.apply(fill)
        assert [json.loads(record)["id"] for record in again.decisions()] == ["i1", "i2", "i3"]
        assert [event.kind for event in again.events(first.client_id)] == ["ACCEPTED", "AMENDED", "FILL"]


def test_decisions_are_found_by_intent_and_by_client_id(journal):
    order = place(journal, "i1")
    journal.record_decision("i2", 2500, b'{"id":"i2"}')
    journal.commit()
    assert journal.decision("i1") == journal.decision(order.client_id) == b'{"id":"i1"}'
    assert journal.decision("i2") == b'{"id":"i2"}'
    assert journal.decision("i3") is None
    assert journal.decision("") is None
    assert journal.order("") is None


def test_what_is_not_committed_is_not_there(journal, tmp_path):
    place(journal, "i1")
    journal.commit()
    place(journal, "i2")
    assert journal.pending == 1
    with Reader.open(journal.directory) as reader:
        assert len(list(reader.decisions())) == 1


def test_close_commits(journal):
    place(journal, "i1")
    with reopened(journal) as again:
        assert again.decision("i1") is not None


def test_final_orders_are_not_open_and_stay_known(journal):
    ends = {f"i{n}": state for n, state in enumerate(OrderState)}
    for intent_id, state in ends.items():
        order = place(journal, intent_id)
        journal.order_event(order.client_id, state, 3000, state, D(0))
    journal.commit()
    open_ids = {order.intent_id for order in journal.recover().orders}
    assert open_ids == {intent_id for intent_id, state in ends.items() if not state.final}
    assert {i: journal.order(client_order_id(TAG, i)).state for i in ends} == ends


def test_a_late_fill_brings_an_absent_order_back(journal):
    order, other = place(journal, "i1"), place(journal, "i2")
    journal.order_event(order.client_id, "AMENDED", 2900, OrderState.OPEN, D(0), qty=D("0.002"), venue_order_id="v")
    for one in (order, other):
        journal.order_event(one.client_id, "ABSENT", 3000, OrderState.ABSENT, D(0))
    journal.fill(make_fill(1, order), state=OrderState.PARTIAL, filled_qty=D("0.001"))
    journal.order_event("grinder_d_BTCUSDT_1_1704067200_1", "ACCEPTED", 4000, OrderState.OPEN, D(0))
    journal.order_event("grinder_d_BTCUSDT_1_1704067200_1", "ACCEPTED", 4000, OrderState.OPEN, D(0))
    journal.commit()
    (back,) = journal.recover().orders
    assert (back.intent_id, back.state, back.filled_qty) == ("i1", OrderState.PARTIAL, D("0.001"))
    assert (back.qty, back.venue_order_id) == (D("0.002"), "v")
    journal.order_event(order.client_id, "CANCELLED", 5000, OrderState.CANCELLED, D("0.001"))
    journal.commit()
    assert journal.recover().orders == ()


def test_a_fill_is_kept_once_whatever_the_caller_does(journal):
    order = place(journal, "i1")
    fill = make_fill(1, order)
    journal.fill(fill)
    assert journal.has_fill(fill_key(fill))
    journal.commit()
    journal.fill(fill)
    journal.commit()
    assert list(journal.fills()) == [fill]
    assert journal.has_fill(fill_key(fill))
    assert not journal.has_fill(("paper", "main", "ETHUSDT", "1"))


def test_the_cursor_never_moves_back(journal):
    def read():
        journal.commit()
        cursor = journal.recover().cursors[CURSOR]
        return cursor.last_exchange_ns, cursor.last_trade_id

    order = make_order("i1")
    journal.fill(make_fill(10, order, exchange_ns=100))
    assert read() == (100, "10")
    journal.fill(make_fill(9, order, exchange_ns=100))
    assert read() == (100, "10")
    journal.fill(make_fill(8, order, exchange_ns=99))
    assert read() == (100, "10")
    journal.fill(make_fill(11, order, exchange_ns=101), advance=False)
    assert read() == (100, "10")
    journal.advance_cursor(*CURSOR, exchange_ns=101, trade_id="11", updated_ns=7)
    assert read() == (101, "11")
    journal.advance_cursor(*CURSOR, exchange_ns=100, trade_id="99", updated_ns=8)
    assert read() == (101, "11")
    journal.fill(make_fill(5, order, symbol="ETHUSDT", exchange_ns=3))
    assert read() == (101, "11")
    assert journal.cursors()["paper", "main", "ETHUSDT"].last_trade_id == "5"


def test_numbers_come_back_digit_by_digit(journal):
    order = place(journal, "i1")
    odd = [D("1E-8"), D("0.10"), D("1E+3"), D("123456789012345678.12345678")]
    for n, number in enumerate(odd):
        journal.fill(make_fill(n, order, qty=number, price=number, fee=-number))
    journal.commit()
    for number, fill in zip(odd, journal.fills(), strict=True):
        assert [str(fill.qty), str(fill.price), str(fill.fee)] == [str(number), str(number), str(-number)]


def test_an_intent_is_decided_once(journal):
    place(journal, "i1")
    journal.commit()
    place(journal, "i2")
    before = journal.pending
    place(journal, "i1")
    with pytest.raises(StateError, match="an intent is decided once"):
        journal.commit()
    assert journal.pending == 2
    with Reader.open(journal.directory) as reader:
        assert len(list(reader.decisions())) == 1
    journal.rewind(before)
    journal.commit()
    assert len(list(journal.decisions())) == 2


def test_decisions_are_taken_back_and_what_has_happened_is_not(journal):
    order = place(journal, "i1")
    before = journal.pending
    place(journal, "i2")
    fill = make_fill(1, order)
    journal.fill(fill, state=OrderState.PARTIAL, filled_qty=D("0.001"))
    journal.put_state("a", 1)
    place(journal, "i3")
    journal.rewind(before)
    journal.record_decision("i2", 2500, b'{"id":"i2","outcome":"blocked"}')
    journal.commit()
    assert [json.loads(record) for record in journal.decisions()] == [
        {"id": "i1"},
        {"id": "i2", "outcome": "blocked"},
    ]
    assert list(journal.fills()) == [fill]
    assert journal.state() == {"a": 1}
    assert journal.order(order.client_id).state is OrderState.PARTIAL


@pytest.mark.parametrize("trouble", ["disk full", "read-only"])
def test_a_commit_that_fails_loses_nothing(journal, trouble):
    first = place(journal, "i1")
    journal.commit()
    on, off = {
        "disk full": ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000"),
        "read-only": ("PRAGMA query_only = ON", "PRAGMA query_only = OFF"),
    }[trouble]
    journal._db.execute(on)
    for n in range(2, 50):
        place(journal, f"i{n}")
    fill = make_fill(1, first)
    journal.fill(fill, state=OrderState.PARTIAL, filled_qty=D("0.001"))
    pending = journal.pending
    for _ in range(2):
        with pytest.raises(JournalUnavailable, match=r"cannot be written: .*; 51 rows are kept in memory"):
            journal.commit()
    assert journal.pending == pending
    with Reader.open(journal.directory) as reader:
        assert len(list(reader.decisions())) == 1
        assert list(reader.fills()) == []
    journal._db.execute(off)
    journal.commit()
    assert journal.pending == 0
    with reopened(journal) as again:
        assert [json.loads(record)["id"] for record in again.decisions()] == [f"i{n}" for n in range(1, 50)]
        assert list(again.fills()) == [fill]


def test_a_lock_that_somebody_else_holds_makes_it_unavailable(journal):
    place(journal, "i1")
    journal._db.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(journal.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalUnavailable, match="locked"):
        journal.commit()
    other.execute("ROLLBACK")
    other.close()
    journal.commit()
    assert journal.decision("i1") is not None


def test_a_commit_in_doubt_can_be_repeated(journal):
    order = place(journal, "i1")
    journal.order_event(order.client_id, "SENT", 3000, OrderState.SENT, D(0))
    journal.fill(make_fill(1, order), state=OrderState.PARTIAL, filled_qty=D("0.001"))
    batch = list(journal._batch)
    journal.commit()
    journal._batch.extend(batch)
    journal.commit()
    assert len(list(journal.decisions())) == 1
    assert len(list(journal.events(order.client_id))) == 2
    assert len(list(journal.fills())) == 1


def test_text_that_cannot_be_stored_is_refused_before_it_spoils_the_batch(journal):
    with pytest.raises(UnicodeEncodeError):
        journal.order_event("c", "REJECTED", 1, OrderState.REJECTED, D(0), detail="\ud800")
    assert journal.pending == 0


def test_appending_goes_on_while_other_threads_commit(journal):
    """Decision and fill of one call are never torn apart, and nothing is lost between the threads."""
    total = 3000
    done = threading.Event()

    def commit_all():
        while not done.is_set():
            journal.commit()

    with ThreadPoolExecutor(2) as pool:
        committing = [pool.submit(commit_all) for _ in range(2)]
        for n in range(total):
            order = place(journal, f"i{n}")
            journal.fill(make_fill(n, order), state=OrderState.PARTIAL, filled_qty=D("0.001"))
            assert n % 100 or journal.has_fill(("paper", "main", "BTCUSDT", str(n)))
        done.set()
        for committed in committing:
            committed.result()
    journal.commit()
    assert [json.loads(record)["id"] for record in journal.decisions()] == [f"i{n}" for n in range(total)]
    assert [fill.trade_id for fill in journal.fills()] == [str(n) for n in range(total)]


def test_a_checkpoint_moves_the_log_into_the_file(journal):
    for n in range(100):
        place(journal, f"i{n}")
        journal.commit()
    before = journal.path.stat().st_size
    journal.checkpoint()
    assert journal.path.stat().st_size > before
    log = journal.path.with_name("journal.sqlite-wal")
    size = log.stat().st_size
    for n in range(100, 150):
        place(journal, f"i{n}")
        journal.commit()
    assert log.stat().st_size == size


def test_the_log_does_not_grow_without_bound(journal):
    for n in range(300):
        journal.record_decision(f"i{n}", n, b"x" * 100_000)
        journal.commit()
    assert journal.path.with_name("journal.sqlite-wal").stat().st_size < 20_000_000


def test_power_waits_for_the_disk_and_process_does_not(tmp_path):
    for sync, level in (("power", 2), ("process", 1)):
        with Journal.open(tmp_path / sync, sync=sync) as journal:
            assert journal._db.execute("PRAGMA synchronous").fetchone() == (level,)
            assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# Instances, runs, processes


def test_the_tag_is_random_once_and_then_kept(tmp_path):
    with Journal.open(tmp_path / "one") as one, Journal.open(tmp_path / "two") as two:
        assert is_tag(one.tag)
        assert one.tag != two.tag
        tag = one.tag
    with Journal.open(tmp_path / "one") as again:
        assert again.tag == tag


def test_another_instances_journal_is_refused(journal):
    with pytest.raises(StateError, match=r"belongs to instance abcdef, not ghijkl.*choose another data directory"):
        reopened(journal, tag="ghijkl")
    with Journal.open(journal.directory, tag=TAG) as again:
        assert again.generation == 2


def test_a_finished_run_is_known_and_resumed_only_on_request(journal):
    place(journal, "i1")
    journal.mark_finished()
    assert journal.finished
    again = reopened(journal)
    assert again.finished
    again = reopened(again)
    assert again.finished
    assert again.generation == 1
    place(again, "i2")
    with pytest.raises(StateError, match="holds a finished run: resume it"):
        again.commit()
    again.resume()
    assert not again.finished
    assert again.generation == 2
    again.resume()
    assert again.generation == 2
    with reopened(again) as last:
        assert not last.finished
        assert last.generation == 3
        assert last.decision("i2") is not None


HOLD = """
import sys
from pathlib import Path
from grinder.journal.store import Journal
with Journal.open(Path(sys.argv[1]), sync="process"):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_by_name_and_pid(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StateError) as refusal:
            Journal.open(tmp_path)
        with Reader.open(tmp_path) as reader:
            assert list(reader.decisions()) == []
        holder.stdin.close()
    assert str(tmp_path) in str(refusal.value)
    assert f"in use by process {holder.pid};" in str(refusal.value)
    with Journal.open(tmp_path):
        pass


def test_a_second_journal_in_the_same_process_is_refused_too(journal):
    with pytest.raises(StateError, match=f"in use by process {os.getpid()};"):
        Journal.open(journal.directory)


def test_a_directory_that_was_refused_is_free_again(journal):
    with pytest.raises(StateError):
        reopened(journal, tag="ghijkl")
    with Journal.open(journal.directory, tag=TAG):
        pass


def test_a_conditional_order_is_conditional_until_it_has_fired(tmp_path):
    trigger = Trigger(TriggerKind.TAKE_PROFIT, D("61000.10"), TriggerSource.MARK)
    waiting, fired = make_order("i1", trigger=trigger), make_order("i2", trigger=trigger)
    journal = Journal.open(tmp_path, sync="process", tag=TAG)
    for order in (waiting, fired):
        journal.record_decision(order.intent_id, 1, b"{}", order)
        journal.order_event(order.client_id, "ACCEPTED", 2, OrderState.OPEN, D(0))
    journal.order_event(fired.client_id, "TRIGGERED", 3, OrderState.OPEN, D(0))
    journal.close()
    with Reader.open(tmp_path) as reader:
        triggers = {order.intent_id: order.open_order().trigger for order in reader.recover().orders}
    assert triggers == {"i1": trigger, "i2": None}


def test_payments_and_the_cause_of_a_fill_survive(tmp_path):
    fill = make_fill("7", make_order("i1"), cause=FillCause.LIQUIDATION, client_id="autoclose-1", intent_id="")
    funding = Payment(
        kind=PaymentKind.FUNDING,
        payment_id="BTCUSDT 5",
        route=Route.PAPER,
        venue="paper",
        account="main",
        symbol="BTCUSDT",
        position_side=PositionSide.BOTH,
        amount=D("0.00600005"),
        asset="USDT",
        at_ns=5,
        local_ns=6,
        rate=D("-0.0001"),
        mark=D("60000.5"),
        qty=D("0.001"),
    )
    fee = msgspec.structs.replace(funding, kind=PaymentKind.LIQUIDATION_FEE, rate=None, mark=None, qty=None)
    journal = Journal.open(tmp_path, sync="process", tag=TAG)
    journal.fill(fill)
    for payment in (funding, fee, funding):
        journal.payment(payment)
    assert journal.has_payment(("paper", "main", "FUNDING", "BTCUSDT 5"))
    journal.close()
    with Reader.open(tmp_path) as reader:
        assert list(reader.fills()) == [fill]
        assert list(reader.payments()) == [funding, fee]
        assert reader.has_payment(("paper", "main", "LIQUIDATION_FEE", "BTCUSDT 5"))
        recovered = reader.recover()
        (holding,) = (holding for _, holding in recovered.ledger.holdings())
        assert not recovered.ledger.pay(fee)
    assert holding.payments == {PaymentKind.FUNDING: funding.amount, PaymentKind.LIQUIDATION_FEE: fee.amount}


def an_amendment(journal, intent_id, target, qty="0.009"):
    amendment = make_order(intent_id, kind=IntentKind.AMEND, target_client_id=target.client_id, qty=D(qty))
    journal.record_decision(intent_id, 2000, b"{}", amendment)
    return amendment


@pytest.mark.parametrize(
    ("kind", "detail", "left"),
    [("AMENDED", "{}", 1), ("AMENDMENT_OVER", "{} -5027 refused", 1), ("AMENDED", "", 2), ("ACCEPTED", "{}", 2)],
)
def test_amendments_in_flight_are_recovered_until_they_are_answered(journal, kind, detail, left):
    order = place(journal, "i1")
    first, second = (an_amendment(journal, name, order) for name in ("i2", "i3"))
    journal.commit()
    recovered = journal.recover()
    assert recovered.amendments == (
        msgspec.structs.replace(first, updated_ns=2000), msgspec.structs.replace(second, updated_ns=2000),
    )  # fmt: skip
    assert [each.client_id for each in recovered.orders] == [order.client_id]
    assert journal.order(first.client_id) is None, "it is no order"
    said = detail.format(first.client_id)
    journal.order_event(order.client_id, kind, 3000, OrderState.OPEN, D(0), qty=D("0.009"), detail=said)
    journal.commit()
    assert [each.intent_id for each in journal.recover().amendments] == ["i2", "i3"][2 - left :]


def test_an_order_that_is_final_has_no_amendments(journal):
    order = place(journal, "i1")
    an_amendment(journal, "i2", order)
    journal.order_event(order.client_id, "CANCELLED", 3000, OrderState.CANCELLED, D(0))
    an_amendment(journal, "i3", order)
    journal.commit()
    assert journal.recover().amendments == ()


def test_an_index_finds_what_a_search_finds(journal):
    orders = [place(journal, f"i{n}") for n in range(20)]
    an_amendment(journal, "a1", orders[0])
    journal.commit()
    journal.index()
    for order in orders[::2]:
        journal.order_event(order.client_id, "ACCEPTED", 3000, OrderState.OPEN, D(0), venue_order_id="v")
    orders.append(place(journal, "late"))
    journal.commit()
    with Reader.open(journal.directory) as reader:
        for client_id in [*(order.client_id for order in orders), "nobody", "", client_order_id(TAG, "a1")]:
            assert journal.order(client_id) == reader.order(client_id)
    plan = journal._db.execute("EXPLAIN QUERY PLAN SELECT seq FROM temp.names WHERE client_id = 'x'").fetchone()
    assert "SEARCH" in plan[-1]


def test_without_room_for_an_index_orders_are_found_all_the_same(journal, monkeypatch):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    order = place(journal, "i1")
    journal.commit()
    journal.index()
    monkeypatch.setattr(Lookup, "catch_up", full)
    journal.index()
    assert journal.order(order.client_id).intent_id == "i1"


@pytest.mark.parametrize("how", ["delete", "move", "replace"])
def test_a_journal_that_was_taken_away_is_not_written(tmp_path, monkeypatch, how):
    monkeypatch.setattr(store, "LOOK_NS", 0)
    journal = Journal.open(tmp_path / "data", sync="process", tag=TAG)
    place(journal, "i1")
    journal.commit()
    aside = journal.path.with_name("aside")
    journal.path.rename(aside)
    if how == "delete":
        aside.unlink()
    elif how == "replace":
        journal.path.touch()
    place(journal, "i2")
    with pytest.raises(JournalUnavailable, match="was deleted, moved or replaced"):
        journal.commit()
    assert journal.pending == 1
    if how == "move":
        aside.rename(journal.path)
        journal.commit()
        assert journal.order(client_order_id(TAG, "i2")) is not None
    else:
        with pytest.raises(JournalUnavailable):
            journal.close()
    journal.close()
