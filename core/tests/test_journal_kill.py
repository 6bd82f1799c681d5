"""Killed at any moment: what was reported as committed is there, whole, and nothing is there by half."""

from __future__ import annotations

import random
import signal
import subprocess
import sys

from grinder.journal.store import Journal

ROUNDS = 8

WRITER = """
import os, sys
from decimal import Decimal
from pathlib import Path
from grinder.journal.identity import client_order_id
from grinder.journal.records import OrderRecord
from grinder.journal.store import Journal
from grinder.types import Fill, IntentKind, OrderState, PositionSide, Route, Side

journal = Journal.open(Path(sys.argv[1]), sync="process")
recovered = journal.recover()
os.write(1, b"open\\n")
batch = recovered.state.get("batch", -1)
while True:
    batch += 1
    for n in (2 * batch, 2 * batch + 1):
        intent_id = f"i{n}"
        order = OrderRecord(
            intent_id=intent_id, client_id=client_order_id(journal.tag, intent_id), kind=IntentKind.PLACE,
            symbol="BTCUSDT", side=Side.BUY, position_side=PositionSide.BOTH, qty=Decimal(1), price=Decimal(100 + n),
            reduce_only=False, route=Route.PAPER, venue="paper", account="main", origin="", target_client_id="",
            created_ns=n,
        )
        journal.record_decision(intent_id, n, b'{"id":"%d"}' % n * 200, order)
    journal.order_event(order.client_id, "ACCEPTED", n, OrderState.OPEN, Decimal(0))
    fill = Fill(
        route=Route.PAPER, venue="paper", account="main", symbol="BTCUSDT", position_side=PositionSide.BOTH,
        trade_id=str(batch), client_id=order.client_id, intent_id=intent_id, side=Side.BUY, price=Decimal(100 + n),
        qty=Decimal(1), fee=Decimal(0), fee_asset="USDT", maker=True, exchange_ns=n, local_ns=n,
    )
    journal.fill(fill, state=OrderState.FILLED, filled_qty=Decimal(1))
    journal.put_state("batch", batch)
    journal.commit()
    os.write(1, b"%d\\n" % batch)
    if batch % 20 == 0:
        journal.checkpoint()
"""


def run_and_kill(directory, lines):
    """Let the writer report so many lines, kill it, and return the last batch that it reported (-1 for none)."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(directory)], stdout=subprocess.PIPE) as writer:
        for _ in range(lines):
            assert writer.stdout.readline()
        writer.kill()
        rest = writer.stdout.read()
    assert writer.returncode == -signal.SIGKILL
    reported = [line for line in rest.split(b"\n")[:-1] if line != b"open"]
    return int(reported[-1]) if reported else -1


def test_nothing_reported_is_lost_and_nothing_is_there_by_half(tmp_path):
    rng = random.Random(20240229)
    for _ in range(ROUNDS):
        reported = run_and_kill(tmp_path, rng.choice([0, 1, rng.randrange(2, 60), rng.randrange(60, 800)]))
        with Journal.open(tmp_path, sync="process") as journal:
            recovered = journal.recover()
            last = recovered.state.get("batch", -1)
            assert last >= reported
            expected = [b'{"id":"%d"}' % n * 200 for n in range(2 * last + 2)]
            assert list(journal.decisions()) == expected
            assert [fill.trade_id for fill in journal.fills()] == [str(n) for n in range(last + 1)]
            assert recovered.next_intent_number == 2 * last + 3
            assert [order.intent_id for order in recovered.orders] == [f"i{2 * n}" for n in range(last + 1)]
            assert sum(position.qty for _, position in recovered.ledger.positions()) == last + 1
            if last >= 0:
                assert recovered.cursors["paper", "main", "BTCUSDT"].last_trade_id == str(last)
    assert last > 100, "the writer was never given the time to write"
