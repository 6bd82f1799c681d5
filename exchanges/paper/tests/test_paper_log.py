"""The venue survives our crash: whatever the log holds, a restart counts once, and nothing visible is missing."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat

import msgspec
import pytest

from grinder import Found, NotFound, OrderState, Side, StateError, TimeInForce
from grinder_exchange_paper import orders

BUY, SELL = Side.BUY, Side.SELL
IOC, FOK, GTX = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTX
BOOK = ([("100.0", "5"), ("99.9", "7")], [("100.1", "5"), ("100.2", "7")])


@pytest.fixture
def story(make_rig):
    """A rig that has seen a bit of everything."""
    rig = make_rig()
    rig.book(*BOOK)
    first = rig.buy("7", "100.2", IOC)
    second = rig.buy("2", "100.0", GTX)
    rig.sell("1", "100.3", GTX, reduce_only=True)
    rig.buy("50", "100.2", FOK)
    rig.settle()
    rig.trade("99.9", "0.5", SELL)
    rig.amend(second, "1.5", "100.0")
    third = rig.sell("1", "100.3", GTX)
    rig.settle()
    rig.cancel(third)
    rig.delta(bids=[("100.0", "5")])
    rig.sell("7.5", "99.9", IOC)
    rig.settle()
    rig.query(first)
    rig.exchange.stop()
    return rig


def resumed(make_rig, rig):
    again = make_rig(rig.data_dir, resume=True, begin=rig.now)
    again.book(*BOOK)
    return again


def totals(rig):
    state = rig.exchange.state
    return (
        rig.position(),
        state.account.balance,
        state.account.realised,
        state.account.fees,
        state.trades,
        state.orders.last_id,
        [(order.client_id, order.price, order.qty, order.filled_qty) for order in state.orders.open.values()],
    )


def test_a_restart_finds_everything_as_it_was(story, make_rig):
    again = resumed(make_rig, story)
    assert totals(again) == totals(story)
    for number in range(1, 9):
        client_id = f"c{number}"
        assert again.query(client_id) == story_found(story, client_id)


def story_found(rig, client_id):
    order = rig.exchange.state.orders.get(client_id)
    return order.found() if order is not None else NotFound(client_id)


def test_counters_go_on_after_a_restart(story, make_rig):
    again = resumed(make_rig, story)
    again.ids = iter(range(100, 200))
    again.buy("1", "100.1", IOC)
    again.settle()
    trades = story.exchange.state.trades
    assert again.fills[0].trade_id == f"p{trades + 1}"
    assert again.updates[0].venue_order_id == str(story.exchange.state.orders.last_id + 1)


def test_open_orders_rest_again_at_the_back_of_the_queue(make_rig):
    rig = make_rig()
    rig.book(*BOOK)
    order = rig.buy("2", "100.0", GTX)
    rig.settle()
    rig.delta(bids=[("100.0", "1")])
    rig.exchange.stop()
    again = make_rig(rig.data_dir, resume=True, begin=rig.now)
    again.trade("100.0", "50", SELL)  # nothing is known of the queue yet
    again.book(*BOOK)
    again.trade("99.9", "50", SELL, exchange_ns=again.now - 1)  # older than the book that we joined
    again.trade("100.0", "4", SELL)
    assert again.traded() == []
    again.trade("100.0", "2", SELL)
    assert again.traded() == [(order, "100.0", "1.000", True)]


def test_a_position_without_open_orders_still_counts_for_margin_after_a_restart(make_rig):
    rig = make_rig(balance=100, leverage=10, taker_fee=0)
    rig.book([("100.0", "50")], [("100.0", "50")])
    rig.buy("9", "100.0", IOC)
    rig.settle()
    rig.exchange.stop()
    btc = rig.instruments[0]
    eth = msgspec.structs.replace(btc, symbol="ETHUSDT", base="ETH")
    again = make_rig(rig.data_dir, resume=True, begin=rig.now, balance=100, leverage=10, instruments=(btc, eth))
    again.book([("100.0", "50")], [("100.1", "50")], symbol="ETHUSDT")
    again.buy("1.1", "100.0", GTX, symbol="ETHUSDT", client_id="eth")
    again.settle()
    assert again.updates[0].code == "-2019"


def test_truncated_at_every_length_nothing_counts_twice_and_queries_agree(story, make_rig, tmp_path):
    whole = story.log_path.read_bytes()
    every_fill = {fill.trade_id: fill for fill in story.fills}
    path = tmp_path / "paper.jsonl"
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        lines = whole[:length].splitlines()[: whole[:length].count(b"\n")]
        kept = [every_fill[r["fill"]["trade_id"]] for line in lines for r in json.loads(line) if "fill" in r]
        again = make_rig(tmp_path, resume=True, begin=story.now)
        state = again.exchange.state
        assert state.trades == len(kept)
        assert again.position() == sum(fill.qty * fill.side.sign for fill in kept)
        assert state.account.balance == 10_000 + state.account.realised - state.account.fees
        if whole[length - 1 : length] == b"\n":
            assert_queries_agree(again, kept)
        again.exchange.stop()
    assert len(kept) == len(every_fill) > 4


def assert_queries_agree(rig, fills):
    told = []
    for number in range(1, 9):
        found = rig.query(f"c{number}")
        if isinstance(found, Found):
            told += found.fills
            assert found.filled_qty == sum(fill.qty for fill in found.fills)
            assert found.state.final is (f"c{number}" not in rig.exchange.state.orders.open)
    assert sorted(told, key=lambda fill: int(fill.trade_id[1:])) == fills


def test_what_is_visible_is_in_the_log(make_rig):
    rig = make_rig(response_latency_ms=0)
    rig.book(*BOOK)
    rig.buy("1", "100.1", IOC)
    rig.wait(10)
    assert [record["op"] for record in rig.log()] == ["began", "sent", "order", "fill"]
    assert rig.log()[3]["fill"]["trade_id"] == rig.fills[0].trade_id


def test_a_torn_line_is_cut_off_and_counted(story, make_rig):
    whole = story.log_path.read_bytes()
    story.log_path.write_bytes(whole + b'[{"op":"fill","fi')
    again = make_rig(story.data_dir, resume=True, begin=story.now)
    assert again.exchange.torn_bytes == 17
    assert totals(again) == totals(story)
    again.exchange.stop()
    assert story.log_path.read_bytes() == whole


def test_a_long_torn_line_is_found_from_the_end(story, make_rig):
    whole = story.log_path.read_bytes()
    story.log_path.write_bytes(whole + b"x" * 200_000)
    again = make_rig(story.data_dir, resume=True, begin=story.now)
    assert again.exchange.torn_bytes == 200_000


DAMAGE = {
    "not JSON": lambda lines: [*lines[:3], b"[{]", *lines[4:]],
    "unknown record": lambda lines: [*lines[:3], b'[{"op":"wish"}]', *lines[4:]],
    "a line is gone": lambda lines: [line for line in lines if b'"p2"' not in line],
    "a fill comes twice": lambda lines: [copy for line in lines for copy in (line,) * (1 + (b'"p3"' in line))],
    "an order comes twice": lambda lines: [copy for line in lines for copy in (line,) * (1 + (b'"GTX"' in line))],
    "no beginning": lambda lines: lines[1:],
    "two beginnings": lambda lines: [lines[0], *lines],
    "an empty first line": lambda lines: [b"[]", *lines],
    "a fill beyond the quantity": lambda lines: [line.replace(b'"qty":"2.000"', b'"qty":"2.001"') for line in lines],
    "no number": lambda lines: [line.replace(b'"qty":"7"', b'"qty":"NaN"') for line in lines],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_corrupt_line_is_refused_by_name_and_left_alone(story, make_rig, damage):
    damaged = b"\n".join(damage(story.log_path.read_bytes().splitlines())) + b"\n"
    story.log_path.write_bytes(damaged)
    with pytest.raises(StateError, match=r"paper\.jsonl, line \d+: .*; restore the file from a backup, or move it"):
        make_rig(story.data_dir, resume=True, begin=story.now)
    assert story.log_path.read_bytes() == damaged


def test_an_existing_log_needs_resume(story, make_rig):
    with pytest.raises(StateError, match=r"paper\.jsonl exists.*--resume"):
        make_rig(story.data_dir)


def test_resume_without_a_log_begins_one(make_rig, tmp_path):
    rig = make_rig(tmp_path, resume=True)
    assert [record["op"] for record in rig.log()] == ["began"]


def test_the_log_is_for_the_owner_only(story):
    assert stat.S_IMODE(story.log_path.stat().st_mode) == 0o600


def test_a_log_of_another_position_mode_is_refused(story, make_rig):
    with pytest.raises(StateError, match=r"position mode one_way, settings say hedge"):
        make_rig(story.data_dir, resume=True, position_mode="hedge")


def test_a_log_of_an_unknown_symbol_is_refused(story, make_rig):
    with pytest.raises(StateError, match=r"BTCUSDT, which has no instrument"):
        make_rig(story.data_dir, resume=True, instruments=())


def test_a_directory_that_is_missing_is_named(make_rig, tmp_path):
    with pytest.raises(StateError, match=r"nowhere/paper\.jsonl cannot be opened: No such file"):
        make_rig(tmp_path / "nowhere")


def test_the_wallet_of_the_log_goes_before_the_setting(story, make_rig):
    again = make_rig(story.data_dir, resume=True, balance=5)
    assert again.exchange.state.account.balance == story.exchange.state.account.balance


def test_a_placement_that_is_sent_twice_is_noted(make_rig):
    rig = make_rig()
    rig.book(*BOOK)
    rig.buy("1", "99.0", client_id="a")
    rig.buy("1", "99.0", client_id="a")
    rig.cancel("a", client_id="a")
    rig.settle()
    assert [r["client_id"] for r in rig.log() if r["op"] == "duplicate"] == ["a"]
    rig.exchange.stop()


def test_sent_before_the_crash_and_again_after_it_is_noted_even_if_it_never_arrived(make_rig):
    rig = make_rig()
    rig.book(*BOOK)
    rig.buy("1", "99.0", client_id="a")
    again = make_rig(rig.data_dir, resume=True, begin=rig.now)  # the first process is gone before it arrives
    assert again.query("a") == NotFound("a")
    again.buy("1", "99.0", client_id="a")
    again.settle()
    assert again.exchange.state.duplicates == 1
    assert [r["op"] for r in again.log() if r.get("client_id") == "a"] == ["sent", "duplicate", "order"]


def test_final_orders_that_memory_forgot_are_found_in_the_log(make_rig, monkeypatch):
    monkeypatch.setattr(orders, "REMEMBERED", 3)
    rig = make_rig()
    rig.book(*BOOK)
    ids = [rig.buy("0.5", "100.1", IOC) for _ in range(12)]
    rig.settle()
    assert rig.exchange.state.orders.get(ids[0]) is None
    first, last = rig.query(ids[0]), rig.query(ids[11])
    assert (first.state, first.fills) == (OrderState.FILLED, (rig.fills[0],))
    assert last.state is OrderState.EXPIRED
    assert rig.query("c") == NotFound("c")  # part of other names
    rig.exchange.stop()
    again = make_rig(rig.data_dir, resume=True, begin=rig.now)
    assert again.query(ids[0]) == first


def test_a_forgotten_order_is_told_from_others_in_the_same_transaction(make_rig, monkeypatch):
    monkeypatch.setattr(orders, "REMEMBERED", 1)
    rig = make_rig()
    rig.book(*BOOK)
    rig.buy("1", "100.1", IOC)
    reducer = rig.sell("1", "100.2", GTX, reduce_only=True)
    closer = rig.sell("1", "100.0", IOC)  # ends the reducer in one transaction with its own fill
    rig.buy("1", "100.1", IOC)
    rig.settle()
    assert rig.query(reducer).state is OrderState.CANCELLED
    assert rig.query(closer).state is OrderState.FILLED


def test_a_full_disk_stops_the_venue_and_loses_nothing(make_rig):
    rig = make_rig()
    rig.book(*BOOK)
    rig.buy("1", "99.0", client_id="kept")
    rig.settle()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    rig.buy("1", "100.1", IOC, client_id="lost")
    resource.setrlimit(resource.RLIMIT_FSIZE, (rig.log_path.stat().st_size + 30, limits[1]))
    try:
        with pytest.raises(StateError, match=r"cannot be written: .*; free space"):
            rig.settle()
        assert rig.exchange.poll() == ()
        with pytest.raises(StateError, match="cannot be written"):
            rig.buy("1", "99.0", client_id="next")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    rig.exchange.stop()
    again = make_rig(rig.data_dir, resume=True, begin=rig.now)
    assert list(again.exchange.state.orders.open) == ["kept"]
    assert again.query("lost") == NotFound("lost")


def test_killed_outright_it_comes_back(make_rig):
    """A child is killed with SIGKILL in the middle of trading."""
    rig = make_rig()
    rig.book(*BOOK)
    child = os.fork()
    if not child:
        rig.buy("1", "100.1", IOC)
        rig.buy("1", "100.0", GTX)
        rig.wait(15)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    again = make_rig(rig.data_dir, resume=True, begin=rig.now)
    assert again.query("c1").state is OrderState.FILLED
    assert list(again.exchange.state.orders.open) == ["c2"]
    assert again.position() == 1
