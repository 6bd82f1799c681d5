"""``make bench``: every performance target as one JSON line, then a table. Ratios of figures measured in one run.

Each line has ``name``, ``value``, ``floor_or_peer``, ``ratio``, ``target`` and ``ok``; ``ok`` is null where a peer or a
recording is absent, and ``note`` says so. Nothing here is a test: a machine under load gives other figures.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import chain_bench
import keeper_bench
import peers

ROOT = Path(__file__).resolve().parents[2]
CAPTURE = ROOT.parent / "shared" / "data" / "binance-usdm" / "btcusdt_20240808.gz"
RUNS = 3


def line(
    name: str, what: str, value: float, floor: float, target: float, *, higher: bool = False, **more: object
) -> dict:
    """One result; ``ratio`` is value over floor, which must be at most (``higher``: at least) the target."""
    ratio = value / floor
    ok = ratio >= target if higher else ratio <= target
    sign = ">=" if higher else "<="
    return {"name": f"{name} {what}", "value": round(value, 3), "floor_or_peer": round(floor, 3),
            "ratio": round(ratio, 2), "target": f"{sign} {target}", "ok": ok, **more}  # fmt: skip


def absent(name: str, what: str, why: str) -> dict:
    """A target that cannot be measured here."""
    return {"name": f"{name} {what}", "value": None, "floor_or_peer": None, "ratio": None, "target": None, "ok": None,
            "note": why}  # fmt: skip


def ours(job: str) -> dict:
    """Our side of a job, in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("ours.py")), job, str(CAPTURE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def best(job: Callable[[], dict]) -> dict:
    """The run of median length out of ``RUNS``."""
    results = sorted((job() for _ in range(RUNS)), key=lambda result: result["seconds"])
    return results[len(results) // 2]


def seconds(*command: str) -> float:
    """Median wall time of a whole process, in seconds, over several runs after one warm-up."""
    import time

    times = []
    for index in range(8):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True, timeout=120)
        if index:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def p1() -> list[dict]:
    """One decision through six enforced gates against the bare pluggy call."""
    _, alone, decide = chain_bench.chain()
    bare, evaluation, whole = chain_bench.measure(chain_bench.peer(), alone, decide)
    return [line("P1", "decision, six gates (us)", whole, bare, 2.0, chain_alone_us=round(evaluation, 2))]


def p3() -> list[dict]:
    """The same with long histories in the windows."""
    pasts = (100, 10_000, 1_000_000)
    times = chain_bench.measure(*(chain_bench.chain(past)[2] for past in pasts))
    figures = {str(past): round(time, 2) for past, time in zip(pasts, times, strict=True)}
    return [line("P3", "decision with up to 1 000 000 past ones (us)", max(times), times[0], 1.1, figures_us=figures)]


def p4() -> list[dict]:
    """Raw capture to fills, against the peer and against decoding alone."""
    if not CAPTURE.exists():
        return [absent("P4", "capture to fills", f"no {CAPTURE.name} in ../shared/data")]
    mine = best(lambda: ours("capture"))
    floor = best(lambda: ours("decode"))
    facts = {key: mine[key] for key in ("events", "gates", "orders", "filled_orders", "fills")}
    rows = [line("P4", "capture to fills against decoding alone (s)", mine["seconds"], floor["seconds"], 4.0, **facts)]
    peer = peers.ask("peer_hftbacktest.py", str(CAPTURE))
    if isinstance(peer, str):
        return [*rows, absent("P4", "capture to fills against hftbacktest", peer)]
    total = peer["convert_s"] + peer["run_s"]
    return [
        *rows,
        line("P4", "capture to fills against hftbacktest (s)", mine["seconds"], total, 1.0, peer_trades=peer["trades"]),
    ]


def p5() -> list[dict]:
    """The engine alone, against nautilus_trader."""
    if not CAPTURE.exists():
        return [absent("P5", "engine alone", f"no {CAPTURE.name} in ../shared/data")]
    mine = best(lambda: ours("engine"))
    peer = peers.ask("peer_nautilus.py", str(CAPTURE))
    if isinstance(peer, str):
        return [absent("P5", "engine alone against nautilus_trader", peer)]
    facts = {"orders": mine["orders"], "peer_orders": peer["orders"], "events": mine["events"]}
    return [
        line("P5", "engine alone (events/s)", mine["events_per_s"], peer["events_per_s"], 2.0, higher=True, **facts)
    ]


def p6() -> list[dict]:
    """Recorded decisions judged again, a second; ``gated_per_s`` counts only those that gates were asked about."""
    mine = best(lambda: ours("whatif"))
    facts = {key: mine[key] for key in ("decisions", "gated", "gated_per_s", "changed")}
    return [line("P6", "what-if (decisions/s)", mine["decisions_per_s"], 50_000, 1.0, higher=True, **facts)]


FIDELITY = (
    ("F1", "btcusdt_20240808.gz", 500, "risk", "0.1", 272),
    ("F2", "btcusdt_20240808.gz", 2000, "power", "0.1", 165),
    ("F3", "ethusdt_20240808.gz", 500, "risk", "0.01", 307),
)
"""Capture, interval of quotes in ms, queue model, tick size, and the peer's orders filled as it was measured once."""


def fidelity(row: tuple[str, str, int, str, str, int]) -> dict:
    """Orders filled by the paper exchange against those of hftbacktest, quoted alike."""
    name, capture, every_ms, queue, tick, known = row
    what = f"{capture[:3].upper()} filled orders, {queue} queue, each {every_ms} ms"
    path = CAPTURE.with_name(capture)
    if not path.exists():
        return absent(name, what, f"no {capture} in ../shared/data")
    model = {"risk": "risk_averse"}.get(queue, queue)
    script = str(Path(__file__).with_name("fidelity.py"))
    command = [sys.executable, script, str(path), str(every_ms), model]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    mine = json.loads(done.stdout)
    peer = peers.ask("peer_hftbacktest.py", str(path), "--every-ms", str(every_ms), "--queue", queue, "--tick", tick)
    theirs = known if isinstance(peer, str) else peer["trades"]
    ratio = mine["filled_orders"] / theirs
    return {"name": f"{name} {what}", "value": mine["filled_orders"], "floor_or_peer": theirs, "ratio": round(ratio, 3),
            "target": "0.85 to 1.15", "ok": 0.85 <= ratio <= 1.15, "orders": mine["orders"],
            **({"note": f"figure of an earlier run: {peer}"} if isinstance(peer, str) else {})}  # fmt: skip


def f1() -> list[dict]:
    """How close fills are to an independent simulator's: F1, F2 and F3."""
    return [fidelity(row) for row in FIDELITY]


def p9() -> list[dict]:
    """Memory of a simulated day: as much at its end as after its first hour."""
    mine = ours("day")
    after, most = mine["first_hour_mb"], mine["most_later_mb"]
    return [
        line("P9", "most resident memory of a simulated day against its first hour (MB)", most, after, 1.05,
             hours=mine["hours"], seconds=mine["seconds"], events=mine["events"]),
        line("P9", "most resident memory of a simulated day (MB)", max(most, after), 250.0, 1.0),
    ]  # fmt: skip


def p8() -> list[dict]:
    """Start-up against the imports that it cannot avoid."""
    python = sys.executable
    grinder = str(Path(python).with_name("grinder"))
    imports = "import aiohttp, pydantic_settings, prometheus_client, pluggy, msgspec, structlog"
    script = str(Path(__file__).with_name("ours.py"))
    return [
        line("P8", "grinder --help (s)", seconds(grinder, "--help"), seconds(python, "-c", "import click"), 1.5),
        line("P8", "grinder run to its first decision (s)", seconds(python, script, "first-decision"),
             seconds(python, "-c", imports), 1.5),
    ]  # fmt: skip


def g1() -> list[dict]:
    """One order through ``Gatekeeper.check``, against the engine's own path."""
    figures = keeper_bench.measure()
    more = {name: round(value, 1) for name, value in figures.items() if name not in {"check_us", "engine_us"}}
    return [line("G1", "Gatekeeper.check, six gates (us)", figures["check_us"], figures["engine_us"], 1.2, **more)]


def main() -> None:
    """Run the benchmarks named on the command line, or all."""
    wanted = {name.upper() for name in sys.argv[1:]}
    rows = []
    for job in (p1, p3, p4, p5, p6, p8, f1, p9, g1):
        if wanted and job.__name__.upper() not in wanted:
            continue
        for row in job():
            print(json.dumps(row), flush=True)
            rows.append(row)
    print()
    for row in rows:
        verdict = {True: "ok", False: "MISSED", None: "absent"}[row["ok"]]
        print(f"{row['name']:<52} {row['value'] or '-':>12} {row['floor_or_peer'] or '-':>12} "
              f"{row['ratio'] or '-':>7} {row['target'] or '':>8}  {verdict} {row.get('note', '')}")  # fmt: skip


if __name__ == "__main__":
    main()
