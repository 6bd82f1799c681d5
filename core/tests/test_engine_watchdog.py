"""The watchdog, in real processes: one whose gate loops for ever is ended, one that beats is left alone."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from grinder.engine.watchdog import EXIT_CODE, Watchdog

LIMIT_S = 0.8
MARGIN_S = 8.0  # a loaded machine starts threads late; without a watchdog the process would never end

PREAMBLE = f"""
import os, sys
from decimal import Decimal
from grinder.decisions import GateInfo, Mode
from grinder.engine.watchdog import Watchdog
from grinder.gates.chain import BoundGate, Chain
from grinder.gates.stats import GateStats
from grinder.settings.plugin import GateSettings
from grinder.types import OrderIntent, Side

def ask(function):
    settings = GateSettings(mode=Mode.ENFORCE)
    gate = BoundGate(info=GateInfo("gate", Mode.ENFORCE, "block"), function=function, argnames=(),
                     settings=settings, reasons=frozenset(), stats=GateStats("gate", settings.breaker))
    order = OrderIntent(symbol="BTCUSDT", side=Side.BUY, qty=Decimal(1))
    Chain([gate]).evaluate(order, None, None, None, 1)

watchdog = Watchdog({LIMIT_S})
watchdog.start()
"""

ENDLESS = """
def gate_that_never_returns():
    while True:
        pass

print("hangs", flush=True)
ask(gate_that_never_returns)
"""

SWALLOWING = """
def gate_that_swallows_everything():
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass

print("hangs", flush=True)
ask(gate_that_swallows_everything)
"""

LOCKED = """
import re

def gate_with_a_runaway_expression():
    re.match(r"(a|a)*b", "a" * 64)

print("hangs", flush=True)
ask(gate_with_a_runaway_expression)
"""

DEAF = """
os.set_blocking(2, False)
try:
    while True:
        os.write(2, b"x" * 4096)
except BlockingIOError:
    os.set_blocking(2, True)

def gate_that_never_returns():
    while True:
        pass

print("hangs", flush=True)
ask(gate_that_never_returns)
"""

BEATING = f"""
import time
end = time.monotonic() + 4 * {LIMIT_S}
while time.monotonic() < end:
    watchdog.beat()
watchdog.stop()
time.sleep(2.5 * {LIMIT_S})
print("done", flush=True)
"""


def run(program: str) -> tuple[int, float, str]:
    """Exit code, seconds from the line "hangs" to the end, and stderr."""
    with subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            begin = time.monotonic()
            code = process.wait(timeout=60)
            spent = time.monotonic() - begin
            assert process.stderr is not None
            errors = process.stderr.read()
        finally:
            process.kill()
    assert said, errors
    return code, spent, errors


@pytest.mark.parametrize(
    ("program", "gate"), [(ENDLESS, "gate_that_never_returns"), (SWALLOWING, "gate_that_swallows_everything")]
)
def test_a_gate_that_loops_for_ever_is_ended_and_named(program, gate):
    code, spent, errors = run(program)
    assert code == EXIT_CODE == 3
    assert 0.5 * LIMIT_S < spent < 1.25 * LIMIT_S + MARGIN_S
    assert errors.startswith(f"WATCHDOG_EXPIRED limit_s={LIMIT_S} action=exit\n")
    assert f"in {gate}" in errors
    assert "in evaluate" in errors


def test_a_gate_that_holds_the_interpreters_lock_is_ended_by_the_interpreter():
    code, spent, errors = run(LOCKED)
    assert code == 1
    assert spent < 2 * LIMIT_S + MARGIN_S
    assert "in gate_with_a_runaway_expression" in errors


def test_a_stderr_that_nobody_reads_does_not_save_the_process():
    code, spent, _ = run(DEAF)
    assert code == EXIT_CODE
    assert spent < 1.25 * LIMIT_S + MARGIN_S


def test_a_loop_that_beats_is_left_alone():
    code, _, errors = run(BEATING)
    assert (code, errors) == (0, "")


def test_stopped_or_switched_off_it_ends_nothing():
    ended: list[int] = []
    watchdog = Watchdog(60.0, end=ended.append)
    watchdog.start()
    watchdog.stop()
    off = Watchdog(0.0, end=ended.append)
    off.start()
    off.stop()
    assert ended == []
