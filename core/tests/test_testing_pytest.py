"""The pytest plugin: fixtures where they are wanted, every case as a test, and no cost where nobody asks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from grinder import ConfigError
from grinder.testing import CASES, NOW, GateConformance, Status, conform

GATE = """
from __future__ import annotations
from grinder import Allow, Block, GateSettings, OrderIntent, Verdict, hookimpl

GRINDER_API = ">=1.0,<2"
REASONS = {"NO_SELLS": "Selling is not wanted."}

@hookimpl
def register_settings() -> type[GateSettings]:
    return GateSettings

@hookimpl
def pre_order_gate(order: OrderIntent) -> Verdict:
    return Block("NO_SELL") if order.side == "SELL" else Allow()
"""

TESTS = """
import no_sells
from grinder.testing import GateConformance

class TestConformance(GateConformance):
    plugin = no_sells

class TestNothing(GateConformance):
    pass
"""


def pytest_in(folder, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "empty.ini", *args]
    (folder / "empty.ini").write_text("[pytest]\n")
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_a_class_collects_every_case_and_says_what_fails(tmp_path):
    (tmp_path / "no_sells.py").write_text(GATE)
    (tmp_path / "test_it.py").write_text(TESTS)
    ran = pytest_in(tmp_path, "-k", "not TestNothing", "-rf", "--tb=short")
    assert ran.returncode == 1
    assert "1 failed" in ran.stdout
    assert "test_gc13_reasons_are_declared" in ran.stdout
    assert "GC13 FAIL reasons are declared: reason 'NO_SELL' is not declared" in ran.stdout
    assert "To mend it: add the code" in ran.stdout
    assert "1 failed, 20 passed" in ran.stdout  # what does not apply to a gate alone is not collected
    assert "skipped" not in ran.stdout


def test_a_class_without_a_plugin_says_so():
    class Empty(GateConformance):
        pass

    with pytest.raises(ConfigError, match="Empty names no plugin"):
        Empty.subject()


def test_where_nobody_asks_it_imports_nothing_heavy(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import sys\ndef test_it():\n    assert 'grinder.testing.fixtures' in sys.modules\n"
        "    assert not {'pydantic', 'msgspec', 'hypothesis', 'grinder.types', 'aiohttp'} & set(sys.modules)\n"
    )
    ran = pytest_in(tmp_path, "-p", "no:hypothesispytest", "-p", "no:_hypothesis_pytestplugin")
    assert ran.returncode == 0, ran.stdout


def test_case_names_are_those_of_tests():
    names = [case.test_name for case in CASES]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and hasattr(GateConformance, name) for name in names)
    assert [case.number for case in CASES] == [f"GC{number:02}" for number in range(1, len(CASES) + 1)]
    assert all(case.requirement and case.advice for case in CASES)


def test_results_as_a_list():
    import grinder_plugin_grid

    results = conform(grinder_plugin_grid, settings={"qty": "0.01"})
    assert {result.status for result in results} == {Status.PASS, Status.SKIP}
    assert [result.case for result in results] == [case.number for case in CASES]


# Fixtures, as a test of a gate uses them.


def test_fixtures(  # noqa: PLR0917
    grinder_clock, grinder_order, grinder_market, grinder_account, grinder_runtime, grinder_exchange, gate_runner
):
    import grinder_plugin_warm_up

    assert grinder_clock.now_ns() == grinder_exchange.now_ns == NOW
    run = gate_runner(
        grinder_plugin_warm_up,
        grinder_order(),
        grinder_market(),
        grinder_account(),
        grinder_runtime(healthy_since=NOW),
        settings={"seconds": 1},
    )
    assert run.blocked
    grinder_clock.advance(1_000_000_000)
    assert not gate_runner(
        grinder_plugin_warm_up, runtime=grinder_runtime(healthy_since=NOW), settings={"seconds": 1}
    ).blocked


def test_the_engine_runner_leaves_its_evidence_in_the_tests_folder(engine_runner, tmp_path, grinder_order):
    run = engine_runner(lambda *_: [grinder_order(intent_id="")], seconds=2)
    assert len(run.decisions) == 2
    assert (tmp_path / "run" / "decisions.jsonl").exists()
