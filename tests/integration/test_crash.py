"""kill -9 at every step boundary of a paper run: nothing is sent twice, counted twice, or sent without its decision."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from grinder.journal.reading import Reader
from grinder.journal.records import Recovered
from grinder.journal.store import Journal

RUN = ["run", "--duration", "60s", "--seed", "7", "--set", "plugins.warm_up.seconds=1"]
CHANGER = ["--duration", "30s", "--set", "strategy=changer", "--set", "plugins.changer.enabled=true"]

# A strategy that keeps a bid and a stop in the market, and amends the bid at every look, at times twice at once.
STRATEGY = """
from collections import Counter
from decimal import Decimal
from grinder import IntentKind, OrderIntent, PluginSettings, Side, Trigger, TriggerKind

GRINDER_API = ">=1.0,<2"

class Settings(PluginSettings):
    "No settings."

class Changer:
    wake_ns = 200_000_000

    def __init__(self):
        self.looks = Counter()

    def on_market(self, market, account, runtime, now):
        if not market.ready:
            return ()
        self.looks[market.symbol] += 1
        look = self.looks[market.symbol]
        own = account.open_orders(market.symbol)
        bids = [order for order in own if order.trigger is None and order.side is Side.BUY]
        intents = [] if bids else [self.bid(market, 1)]
        for order in bids[:1]:
            for more in range(1 + (look % 3 == 0)):
                intents.append(self.bid(market, 1 + (look + more) % 5, kind=IntentKind.AMEND, target=order.intent_id))
        stops = [order for order in own if order.trigger is not None]
        if not stops and look % 4 == 0:
            stop = Trigger(TriggerKind.STOP, Decimal(round(market.bid * 0.9999)))
            size = self.bid(market, 1).qty
            intents.append(OrderIntent(symbol=market.symbol, side=Side.SELL, qty=size, trigger=stop))
        if stops and look % 16 == 0:
            target = {"kind": IntentKind.CANCEL, "target": stops[0].intent_id}
            intents.append(OrderIntent(symbol=market.symbol, side=stops[0].side, **target))
        return intents

    def bid(self, market, size, **more):
        price = Decimal(str(market.bid))
        qty = (150 * size / price).quantize(Decimal("0.001"))
        return OrderIntent(symbol=market.symbol, side=Side.BUY, qty=qty, price=price, **more)

def create(settings, symbols, instruments):
    return Changer()
"""

# Runs grinder and kills it (SIGKILL) around the N-th call of one step of the order path.
HARNESS = """
import os, signal, sys
from grinder.cli.main import invoke
from grinder.engine.changes import Changes
from grinder.engine.marking import Marking
from grinder.journal.store import Journal
from grinder_exchange_paper import PaperExchange
from grinder_exchange_paper.venue import Venue

step, when, n, *args = sys.argv[1:]
owner, name = {"commit": (Journal, "commit"), "submit": (PaperExchange, "submit"), "poll": (PaperExchange, "poll"),
               "market": (PaperExchange, "on_market"), "advance": (PaperExchange, "advance"),
               "change": (Venue, "change"), "reserve": (Changes, "reserve"), "amended": (Changes, "amended"),
               "fire": (Changes, "triggered"), "look": (Marking, "look")}[step]
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

# Takes events out of the synthetic market, for longer than a strategy is asked about a silent one.
HOLE = """
from grinder.feeds.synthetic import SECOND, Synthetic

whole = Synthetic.__iter__
Synthetic.__iter__ = lambda feed: (
    event for event in whole(feed) if not 40 * SECOND < event.local_ns - feed.first_ns < 103.21 * SECOND
)
"""

Crash = tuple[str, str, int]
NEVER: Crash = ("look", "after", 0)


def grinder(
    out: Path, *extra: str, crash: Crash | None = None, harness: str = HARNESS
) -> subprocess.CompletedProcess[str]:
    arguments = [*RUN, "--out", str(out), *extra]
    if crash is None:
        command = [sys.executable, "-m", "grinder.cli", *arguments]
    else:
        step, when, n = crash
        command = [sys.executable, "-c", harness, step, when, str(n), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(out.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=out.parent, env=environment
    )


def install_changer(site: Path) -> None:
    """The strategy as an installed distribution would be: its module on the path, its metadata beside it."""
    (site / "grinder_changer.py").write_text(STRATEGY)
    info = site / "grinder_changer-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: grinder-changer\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[grinder.strategies]\nchanger = grinder_changer\n")


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
        recovered = journal.recover()
    ids = [f.trade_id for f in fills]
    assert len(set(ids)) == len(ids), "a fill was counted twice"
    recorded = [json.loads(line)["trade_id"] for line in (out / "fills.jsonl").read_text().splitlines()]
    assert recorded == ids
    ended = json.loads((out / "summary.json").read_text())["covered_ns"][1]
    traded = {r["fill"]["trade_id"] for r in venue if r["op"] == "fill" and r["fill"]["local_ns"] <= ended}
    on_its_way = {r["fill"]["trade_id"] for r in venue if r["op"] == "fill"} - traded
    assert set(ids) - on_its_way == traded, "a fill was lost, or is none of the venue's"
    check_open(venue, recovered)
    held = {key[3]: holding.qty for key, holding in recovered.ledger.holdings()}
    for symbol, qty in held.items():
        signed = sum(f.qty * f.side.sign for f in fills if f.symbol == symbol)
        assert qty == signed


def check_open(venue: list[dict], recovered: Recovered) -> None:
    """Every order that is open at the venue counts, at least at what the venue could still fill of it."""
    open_at_venue: dict[str, list[Decimal]] = {}
    for record in venue:
        match record["op"]:
            case "order":
                open_at_venue[record["client_id"]] = [Decimal(record["qty"]), Decimal(0)]
            case "amend":
                open_at_venue[record["client_id"]][0] = Decimal(record["qty"])
            case "fill":
                order = open_at_venue[record["fill"]["client_id"]]
                order[1] += Decimal(record["fill"]["qty"])
                if order[0] == order[1]:
                    del open_at_venue[record["fill"]["client_id"]]
            case "end":
                open_at_venue.pop(record["client_id"], None)
    counted = {order.client_id: order.qty for order in recovered.orders}
    for amendment in recovered.amendments:
        counted[amendment.target_client_id] = max(counted[amendment.target_client_id], amendment.qty)
    short = {key: qty for key, (qty, _) in open_at_venue.items() if counted.get(key, Decimal(0)) < qty}
    assert not short, f"counted less than is open: {short}"


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


CHANGES = [
    ("change", "after", 40),
    ("reserve", "after", 12),
    ("amended", "before", 4),
    ("amended", "before", 11),
    ("submit", "after", 25),
    ("fire", "before", 1),
]


@pytest.mark.parametrize(("step", "when", "n"), CHANGES, ids=str)
def test_killed_while_orders_are_changed(tmp_path, step, when, n):
    install_changer(tmp_path)
    out = tmp_path / "run"
    killed = grinder(out, *CHANGER, crash=(step, when, n))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with Reader.open(out / "state") as journal:
        check_open(venue_log(out), journal.recover())
    resumed = grinder(out, *CHANGER, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    check(out)
    operations = Counter(record["op"] for record in venue_log(out))
    assert operations["amend"] > 20
    assert operations["fire"] > 0


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


MARKED = {
    "before a line": [("look", "after", 90)],
    "after many lines": [("look", "before", 230)],
    "in a decision": [("commit", "after", 270)],
    "in the market": [("market", "after", 20000)],
    "again": [("look", "before", 230), ("look", "after", 265)],
    "before anything was traded again": [("look", "before", 230), ("look", "after", 60)],
    "asked at every event": [("look", "after", 80)],
    "after a silence": [("look", "after", 90)],
}


@pytest.mark.parametrize("case", MARKED)
def test_markouts_are_those_of_a_run_that_was_not_killed(tmp_path, case):
    kills = MARKED[case]
    every_event = ["--duration", "12s", "--set", "plugins.grid.interval_ms=0"]
    extra = every_event if case == "asked at every event" else ["--duration", "150s"]
    harness = HOLE + HARNESS if case == "after a silence" else HARNESS

    def killed(out: Path, crashes: list[Crash]) -> Path:
        for n, crash in enumerate([*crashes, NEVER]):
            ended = grinder(out, *extra, *(["--resume"] if n else []), crash=crash, harness=harness)
            assert ended.returncode == (0 if crash is NEVER else -signal.SIGKILL), ended.stderr
        check(out)
        return out

    def lines(out: Path) -> dict[str, str]:
        """By decision; each has one."""
        written = (out / "markouts.jsonl").read_text().splitlines()
        decisions = [json.loads(line) for line in (out / "decisions.jsonl").read_text().splitlines()]
        by_id = {json.loads(line)["id"]: line for line in written}
        assert len(by_id) == len(written), "a decision has two lines"
        assert by_id.keys() == {d["id"] for d in decisions if d["order"]["kind"] != "CANCEL"}
        return by_id

    less = lines(killed(tmp_path / "less", kills[:-1]))
    more = lines(killed(tmp_path / "more", kills))
    earlier = {key for key in more if int(key.split("-")[1]) <= len(kills)}
    assert len(earlier) > 100
    assert {key: more[key] for key in earlier} == {key: less[key] for key in earlier}


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
