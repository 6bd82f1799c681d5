from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from grinder import Side
from grinder.metrics.catalogue import CATALOGUE, FORBIDDEN_LABELS
from grinder.metrics.export import Metrics, text
from grinder.metrics.families import family, histogram
from grinder.metrics.fills import FillCounts
from grinder.metrics.histogram import Pow2Histogram

durations = st.lists(st.integers(0, 2**40), min_size=1, max_size=200)


class Fixed:
    """A source with given metrics."""

    def __init__(self, *metrics: Metric) -> None:
        self._metrics = metrics

    def samples(self) -> Iterable[Metric]:
        return self._metrics


class Failing:
    """A source that breaks half-way."""

    def samples(self) -> Iterator[Metric]:
        yield family("grinder_feed_gaps_total", [((), 1)])
        raise RuntimeError("broken")


def exported(*sources: Fixed | Failing | FillCounts) -> dict[str, float]:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    for source in sources:
        metrics.attach(source)
    return values(text(registry))


def values(prom: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for metric in text_string_to_metric_families(prom):
        for sample in metric.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            key = f"{sample.name}{{{labels}}}"
            assert key not in found, "a series twice spoils the whole scrape"
            found[key] = sample.value
    return found


def test_no_metric_of_ours_has_a_label_without_bound():
    for name, row in CATALOGUE.items():
        if name.startswith("grinder_"):
            assert not FORBIDDEN_LABELS & set(row.labels), name
        assert row.kind in ("counter", "gauge", "histogram")
        assert name.endswith("_total") == (row.kind == "counter"), name
        assert name.endswith("_seconds") or row.kind != "histogram"
    assert {name for name, row in CATALOGUE.items() if "symbol" in row.labels} == {
        "warmup_drop_total",
        "warmup_skip_total",
    }


def test_everything_in_the_catalogue_can_be_exported_and_read_back():
    timed = Pow2Histogram()
    timed.observe(1500)
    made = []
    for name, row in CATALOGUE.items():
        labels = tuple(f"{label}-value" for label in row.labels)
        if row.kind == "histogram":
            made.append(histogram(name, [(labels, timed)]))
        elif not name.startswith(("grinder_up", "grinder_readyz", "grinder_live", "grinder_metrics")):
            made.append(family(name, [(labels, 7)]))
    found = exported(Fixed(*made))
    for name, row in CATALOGUE.items():
        labels = ",".join(sorted(f"{label}={label}-value" for label in row.labels))
        assert f"{name}{'_count' * (row.kind == 'histogram')}{{{labels}}}" in found
    assert not [key for key in found if "_created" in key]


def test_the_process_itself():
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    found = values(text(registry))
    assert found["grinder_up{}"] == 1
    assert found["grinder_uptime_seconds{}"] > 0
    assert found["grinder_readyz_callback_registered{}"] == 0
    assert found["grinder_readyz_ready{}"] == 0
    assert found["grinder_live_engine_initialized{}"] == 0

    failing: dict[str, str] = {}
    metrics.watch(lambda: failing)
    metrics.initialized = True
    found = values(text(registry))
    assert found["grinder_readyz_callback_registered{}"] == 1
    assert found["grinder_readyz_ready{}"] == 1
    assert found["grinder_live_engine_initialized{}"] == 1
    failing["feed"] = "down"
    assert values(text(registry))["grinder_readyz_ready{}"] == 0

    def broken() -> dict[str, str]:
        raise RuntimeError

    metrics.watch(broken)
    assert values(text(registry))["grinder_readyz_ready{}"] == 0


def test_no_created_series_even_for_counters_of_plugins():
    registry = CollectorRegistry()
    Metrics(registry)
    Counter("plugin_things_total", "Things.", registry=registry).inc()
    assert "_created" not in text(registry)
    assert "plugin_things_total 1.0" in text(registry)


def test_sources_share_a_metric():
    found = exported(
        Fixed(family("grinder_gate_blocks_total", [(("a", "X"), 1)])),
        Fixed(family("grinder_gate_blocks_total", [(("b", "X"), 2)])),
    )
    assert found["grinder_gate_blocks_total{gate=a,reason=X}"] == 1
    assert found["grinder_gate_blocks_total{gate=b,reason=X}"] == 2


def test_a_source_that_fails_is_counted_and_hides_no_other():
    found = exported(Failing(), Fixed(family("grinder_feed_events_total", [((), 5)])))
    assert found["grinder_feed_events_total{}"] == 5
    assert found["grinder_metrics_source_errors_total{}"] == 1
    assert "grinder_feed_gaps_total{}" not in found


def test_wrong_labels_and_unknown_names_are_refused():
    with pytest.raises(ValueError, match="grinder_gate_blocks_total has the labels"):
        family("grinder_gate_blocks_total", [(("only-one",), 1)])
    with pytest.raises(KeyError):
        family("grinder_unheard_of_total", [])


def test_labels_with_quotes_and_newlines_survive():
    odd = 'a"b\\c\nd'
    registry = CollectorRegistry()
    Metrics(registry).attach(Fixed(family("grinder_host_faults_total", [((odd, "on_fill"), 1)])))
    families = {m.name: m for m in text_string_to_metric_families(text(registry))}
    assert families["grinder_host_faults"].samples[0].labels["plugin"] == odd


@settings(deadline=None)
@given(durations, st.floats(0, 1))
def test_a_quantile_is_within_a_factor_of_two(samples, p):
    timed = Pow2Histogram()
    for ns in samples:
        timed.observe(ns)
    exact = sorted(samples)[max(ceil(p * len(samples)), 1) - 1]
    estimate = timed.quantile(p)
    assert exact / 2 <= estimate <= max(exact * 2, 0)
    assert estimate <= timed.max_ns == max(samples)
    assert timed.quantile(0) <= timed.quantile(0.5) <= timed.quantile(1)


@settings(deadline=None)
@given(durations)
def test_exported_buckets_count_exactly(samples):
    timed = Pow2Histogram()
    for ns in samples:
        timed.observe(ns)
    rows = timed.cumulative()
    for bound, count in rows[:-1]:
        limit = round(float(bound) * 1e9)
        assert count == sum(ns < limit for ns in samples)
    assert rows[-1] == ("+Inf", len(samples))
    assert timed.total_ns == sum(samples)


def test_counting_in_place_is_the_same_without_the_maximum():
    called, inlined = Pow2Histogram(), Pow2Histogram()
    for ns in (0, 1, 999, 10**9, 2**62):
        called.observe(ns)
        inlined.buckets[ns.bit_length()] += 1
        inlined.total_ns += ns
    assert called.buckets == inlined.buckets
    assert called.count == inlined.count == 5
    assert 500 <= inlined.quantile(0.5) <= 1998
    assert Pow2Histogram().quantile(0.99) == 0.0


def test_fills_are_placeholders_while_nothing_can_fill():
    found = exported(FillCounts())
    for name in ("fills", "fill_notional", "fill_fees", "fill_rebates"):
        assert found[f"grinder_{name}_total{{liquidity=none,side=none,source=none}}"] == 0
    assert len([key for key in found if "grinder_fills_total" in key]) == 1


def test_fills_start_at_zero_and_split_fees_from_rebates():
    counts = FillCounts(["sim"])
    assert not [key for key in exported(counts) if "none" in key]
    assert [v for key, v in exported(counts).items() if key.startswith("grinder_fills_total")] == [0] * 4
    counts.add("sim", Side.BUY, True, Decimal("0.1"), Decimal("-0.01"))
    counts.add("sim", Side.BUY, True, Decimal("0.2"), Decimal("0.03"))
    counts.add("sim", Side.SELL, False, Decimal(5), None)
    counts.add("reconcile", Side.SELL, False, Decimal(1), Decimal(0))
    found = exported(counts)
    key = "{liquidity=maker,side=buy,source=sim}"
    assert found[f"grinder_fills_total{key}"] == 2
    assert found[f"grinder_fill_notional_total{key}"] == 0.3
    assert found[f"grinder_fill_fees_total{key}"] == 0.03
    assert found[f"grinder_fill_rebates_total{key}"] == 0.01
    assert found["grinder_fill_fees_unconverted_total{source=sim}"] == 1
    assert found["grinder_fills_total{liquidity=taker,side=sell,source=reconcile}"] == 1
    assert found["grinder_fills_total{liquidity=maker,side=sell,source=reconcile}"] == 0
