"""kill -9 around every step of a program behind a gatekeeper: what it was allowed to send is on record, and counts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from grinder import OrderState
from grinder.journal.reading import Reader

# Asks for orders and says what it was allowed before it would send it; killed around the N-th call of one step.
PROGRAM = """
import os, signal, sys
from decimal import Decimal
from grinder import Gatekeeper, OrderIntent, Side
from grinder.journal.store import Journal
from grinder.evidence.recorder import Recorder

folder, step, when, n = sys.argv[1:]
owner, name = {"commit": (Journal, "commit"), "record": (Recorder, "decision"), "decide": (Journal, "record_decision"),
               "none": (Journal, "checkpoint")}[step]
original, left = getattr(owner, name), int(n)

def patched(self, *given):
    global left
    left -= 1
    if left == 0 and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(self, *given)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, name, patched)
keeper = Gatekeeper.from_settings(data_dir=folder, overrides={"plugins.warm_up.seconds": 0})
keeper.sync(balance=10_000, positions=[])
print("open", *[order.client_id for order in keeper.open_orders()], flush=True)
for number in range(6):
    keeper.quote("BTCUSDT", 60000, 5, 60000.1, 5)
    decision = keeper.check(
        OrderIntent(symbol="BTCUSDT", side=Side.BUY, qty=Decimal("0.01"), price=Decimal(59990 - number))
    )
    print("send", decision.client_id, flush=True)
"""


def program(folder: Path, step: str = "none", when: str = "after", n: int = 0) -> tuple[int, dict[str, list[str]]]:
    """Its exit code; the orders that it found open, and those that it was allowed to send."""
    command = [sys.executable, "-c", PROGRAM, str(folder), step, when, str(n)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    words = [line.split() for line in done.stdout.splitlines()]
    said = {kind: [client for key, *rest in words if key == kind for client in rest] for kind in ("open", "send")}
    return done.returncode, said


@pytest.mark.parametrize(
    ("step", "when", "n"),
    [("commit", "before", 5), ("commit", "after", 6), ("record", "before", 3), ("decide", "after", 4)],
)
def test_killed_around_a_step(tmp_path, step, when, n):
    code, before = program(tmp_path, step, when, n)
    assert code == -9
    with Reader.open(tmp_path) as journal:
        durable = journal.open_orders()
    assert set(before["send"]) <= durable.keys(), "it was allowed to send what is not on record"
    assert len(durable) - len(before["send"]) in {0, 1}, "at most the one that it never heard of"
    code, after = program(tmp_path)
    assert code == 0
    assert set(after["open"]) == durable.keys(), "all of them count after the restart"
    assert not durable.keys() & set(after["send"]), "no client id was used twice"
    lines = (tmp_path / "decisions.jsonl").read_bytes().splitlines()
    with Reader.open(tmp_path) as journal:
        assert list(journal.decisions())[: len(lines)] == lines
        assert len(lines) >= len(durable)
        states = {order.state for order in journal.open_orders().values()}
    assert states == {OrderState.INTENT}
