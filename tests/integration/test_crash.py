"""kill -9 at every step boundary of a paper run: nothing is sent twice, counted twice, or sent without its decision."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from grinder.journal.store import Journal

RUN = ["run", "--duration", "60s", "--seed", "7", "--set", "plugins.warm_up.seconds=1"]

# Runs grinder and kills it (SIGKILL) around the N-th call of one step of the order path.
HARNESS = """
import os, signal, sys
from grinder.cli.main import invoke
from grinder.engine.executor import Executor
from grinder.journal.store import Journal
from grinder_exchange_paper import PaperExchange

step, when, n, *args = sys.argv[1:]
owner, name = {"commit": (Journal, "commit"), "submit": (PaperExchange, "submit"), "poll": (PaperExchange, "poll"),
               "market": (PaperExchange, "on_market"), "advance": (PaperExchange, "advance")}[step]
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
sys.exit(invoke(args))
"""


def grinder(out: Path, *extra: str, crash: tuple[str, str, int] | None = None) -> subprocess.CompletedProcess[str]:
    arguments = [*RUN, "--out", str(out), *extra]
    if crash is None:
        command = [sys.executable, "-m", "grinder.cli", *arguments]
    else:
        step, when, n = crash
        command = [sys.executable, "-c", HARNESS, step, when, str(n), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=out.parent)


def venue_log(out: Path) -> list[dict]:
    lines = (out / "state" / "paper.jsonl").read_text().splitlines()
    return [record for line in lines for record in json.loads(line)]


def check(out: Path) -> None:
    """What must hold after any number of crashes and restarts."""
    venue = venue_log(out)
    sent = Counter(r["client_id"] for r in venue if r["op"] == "sent")
    assert not [r for r in venue if r["op"] == "duplicate"], "an intent was sent twice"
    assert max(sent.values()) == 1
    decisions = [json.loads(line) for line in (out / "decisions.jsonl").read_text().splitlines()]
    assert len({d["id"] for d in decisions}) == len(decisions), "an intent was decided twice"
    with Journal.open(out / "state", sync="process") as journal:
        stored = [json.loads(d) for d in journal.decisions()]
        assert stored == decisions
        fills = list(journal.fills())
        for client_id in sent:
            order = journal.order(client_id)
            assert order is not None, f"{client_id} was sent without a durable decision"
            assert json.loads(journal.decision(client_id))["outcome"] == "allowed"
        ledger = journal.recover().ledger
    ids = [f.trade_id for f in fills]
    assert len(set(ids)) == len(ids), "a fill was counted twice"
    recorded = [json.loads(line)["trade_id"] for line in (out / "fills.jsonl").read_text().splitlines()]
    assert recorded == ids
    traded = {r["fill"]["trade_id"]: r["fill"] for r in venue if r["op"] == "fill"}
    told = set(ids)
    assert told <= traded.keys(), "a fill that the venue does not know"
    held = {key[3]: holding.qty for key, holding in ledger.holdings()}
    for symbol, qty in held.items():
        signed = sum(f.qty * f.side.sign for f in fills if f.symbol == symbol)
        assert qty == signed


STEPS = [
    (step, when, n)
    for step, counts in {
        "commit": (2, 3, 9, 40),
        "submit": (1, 2, 33),
        "poll": (1, 4, 50),
        "market": (2000,),
        "advance": (1, 20, 77),
    }.items()
    for n in counts
    for when in ("before", "after")
]


@pytest.mark.parametrize(("step", "when", "n"), STEPS, ids=str)
def test_killed_at_a_step_boundary(tmp_path, step, when, n):
    out = tmp_path / "run"
    killed = grinder(out, crash=(step, when, n))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (out / "state" / "journal.sqlite").exists()
    resumed = grinder(out, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    check(out)


def test_killed_again_and_again_at_random(tmp_path):
    out = tmp_path / "run"
    rng = random.Random(20240808)
    steps = [("commit", "after"), ("submit", "before"), ("poll", "after"), ("advance", "before")]
    assert grinder(out, crash=(*rng.choice(steps), rng.randint(20, 90))).returncode == -signal.SIGKILL
    for _ in range(4):
        grinder(out, "--resume", crash=(*rng.choice(steps), rng.randint(2, 60)))
    final = grinder(out, "--resume")
    assert final.returncode == 0, final.stderr
    check(out)
    summary = json.loads((out / "summary.json").read_text())
    assert sum(summary["rejects"].values()) == summary["orders"]["rejected"] > 0
    kinds = Counter(json.loads(row)["order"]["kind"] for row in (out / "decisions.jsonl").read_text().splitlines())
    assert summary["intents"] == kinds.total()
    cancels = summary["decisions"]["cancels"]
    assert cancels["allowed"] + cancels["blocked"] + cancels["dropped"] == kinds["CANCEL"] > 0


def test_a_run_that_is_still_going_cannot_be_resumed(tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "grinder.cli", *RUN, "--speed", "1x", "--metrics-port", "0", "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        try:
            assert "METRICS_SERVED" in first.stderr.readline()
            second = grinder(out, "--resume")
            assert second.returncode == 3
            assert f"in use by process {first.pid}" in second.stderr
        finally:
            first.send_signal(signal.SIGINT)
            first.communicate(timeout=30)
    assert first.returncode == 130
    assert (out / "summary.json").exists()
