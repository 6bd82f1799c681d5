"""Metrics: what each means, cheap counting on the order path, and export when somebody asks.

The order path counts in plain integers that their owners keep. Each owner is a :class:`Source`; :class:`Metrics`
asks all of them at scrape time and adds what it knows itself. Names, labels and help live in ``CATALOGUE``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from grinder.clock import measure_ns
from grinder.types import Side

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric


class Family(NamedTuple):
    """One metric: its type, what it says, its labels in order."""

    kind: str
    help: str
    labels: tuple[str, ...] = ()


_FILL_LABELS: Final = ("source", "side", "liquidity")

CATALOGUE: Final[Mapping[str, Family]] = {
    "grinder_up": Family("gauge", "1 while the process answers."),
    "grinder_uptime_seconds": Family("gauge", "Seconds since the process started."),
    "grinder_readyz_callback_registered": Family("gauge", "Whether readiness is being judged."),
    "grinder_readyz_ready": Family("gauge", "Whether /readyz answers 200."),
    "grinder_live_engine_initialized": Family("gauge", "Whether the engine has been built and started."),
    "grinder_metrics_source_errors_total": Family("counter", "Scrapes in which a source of metrics failed."),
    "grinder_gate_decisions_total": Family("counter", "Answers of gates.", ("gate", "verdict", "mode")),
    "grinder_gate_blocks_total": Family(
        "counter", "Blocks by gates in mode enforce, and their faults.", ("gate", "reason")
    ),
    "grinder_gate_seconds": Family("histogram", "Duration of one call of a gate.", ("gate",)),
    "grinder_gate_breaker_state": Family("gauge", "0 closed, 1 open, 2 half-open.", ("gate", "breaker")),
    "grinder_gate_breaker_trips_total": Family("counter", "How often a breaker opened.", ("gate", "breaker")),
    "grinder_gate_bypassed_total": Family("counter", "Blocks that an open verdict breaker let pass.", ("gate",)),
    "grinder_gate_budget_overruns_total": Family("counter", "Calls that took longer than budget_us.", ("gate",)),
    "grinder_host_faults_total": Family("counter", "Faults of plugins, isolated by the host.", ("plugin", "hook")),
    "grinder_decision_seconds": Family("histogram", "Time from intent to decision."),
    "grinder_decisions_total": Family("counter", "Decisions.", ("outcome", "reason")),
    "grinder_orders_total": Family("counter", "What became of admitted orders.", ("venue", "outcome")),
    "grinder_router_decision_total": Family("counter", "Routes chosen, and why.", ("decision", "reason")),
    "grinder_fills_total": Family("counter", "Executions.", _FILL_LABELS),
    "grinder_fill_notional_total": Family("counter", "Traded notional in quote units.", _FILL_LABELS),
    "grinder_fill_fees_total": Family("counter", "Fees paid, in quote units at fill time.", _FILL_LABELS),
    "grinder_fill_rebates_total": Family("counter", "Rebates earned, in quote units at fill time.", _FILL_LABELS),
    "grinder_fill_fees_unconverted_total": Family("counter", "Fills whose fee has no quote value.", ("source",)),
    "grinder_feed_events_total": Family("counter", "Market events processed."),
    "grinder_feed_gaps_total": Family("counter", "Sequence gaps and lost connections of feeds."),
    "grinder_journal_commit_seconds": Family("histogram", "Duration of one commit of the journal."),
    "warmup_drop_total": Family("counter", "Orders refused while a symbol warms up.", ("symbol",)),
    "warmup_skip_total": Family("counter", "The same as warmup_drop_total, by its older name.", ("symbol",)),
    "gate_drop_reason_total": Family("counter", "Orders refused by gates.", ("reason",)),
    "trades_opened_total": Family("counter", "Orders that opened or added to a position.", ("route",)),
}
"""Every metric that core exports. Only names from the operators' documents may carry ``symbol``."""

FORBIDDEN_LABELS: Final = frozenset(("symbol", "order_id", "key", "client_id", "trade_id", "idempotency_key"))
"""Labels that no ``grinder_*`` metric has: their values grow without bound."""

_FIRST_BUCKET: Final = 10
_LAST_BUCKET: Final = 34


class Pow2Histogram:
    """Durations in buckets that double, counted in O(1) without allocation.

    ``buckets[k]`` counts durations below ``2**k`` ns and at or above half of that. Where even a call is too much,
    do ``buckets[ns.bit_length()] += 1`` and ``total_ns += ns`` in place; ``max_ns`` is then not kept.

    Attributes:
        buckets: counts by bit length.
        total_ns: sum of all durations.
        max_ns: longest duration given to :meth:`observe`.
    """

    __slots__ = ("buckets", "max_ns", "total_ns")

    def __init__(self) -> None:
        self.buckets = [0] * 65
        self.total_ns = 0
        self.max_ns = 0

    def observe(self, ns: int) -> None:
        """Count one duration of ``ns`` (zero or more) nanoseconds."""
        self.buckets[ns.bit_length()] += 1
        self.total_ns += ns
        self.max_ns = max(self.max_ns, ns)

    @property
    def count(self) -> int:
        """How many durations were counted."""
        return sum(self.buckets)

    def quantile(self, p: float) -> float:
        """The ``p``-quantile (0 to 1) in ns, at most a factor of two off; 0.0 when nothing was counted."""
        rank = max(ceil(p * self.count), 1)
        seen = 0
        for bits, number in enumerate(self.buckets):
            if seen + number >= rank:
                low = (1 << bits) >> 1
                estimate = low + (rank - seen - 0.5) / number * low
                return min(estimate, self.max_ns) if self.max_ns >= low else estimate
            seen += number
        return 0.0

    def counted(self) -> list[tuple[int, int]]:
        """Upper bound in ns and count of each bucket, from the first that holds something to the last."""
        held = [bits for bits, number in enumerate(self.buckets) if number]
        return [(1 << bits, self.buckets[bits]) for bits in range(held[0], held[-1] + 1)] if held else []

    def cumulative(self) -> list[tuple[str, float]]:
        """Upper bound in seconds and cumulative count, as Prometheus wants them: 1 µs to 17 s, and infinity."""
        rows = []
        seen = sum(self.buckets[:_FIRST_BUCKET])
        for bits in range(_FIRST_BUCKET, _LAST_BUCKET + 1):
            seen += self.buckets[bits]
            rows.append((repr((1 << bits) / 1e9), float(seen)))
        return [*rows, ("+Inf", float(self.count))]


Labels = tuple[str, ...]


def family(name: str, rows: Iterable[tuple[Labels, float]]) -> Metric:
    """A counter or gauge of the catalogue, ready for export.

    Args:
        name: as in ``CATALOGUE``.
        rows: label values in the catalogue's order (empty for none), and the value.

    Raises:
        KeyError: the catalogue has no such metric.
        ValueError: a row has the wrong number of label values.
    """
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    kind, text, labels = CATALOGUE[name]
    metric = (CounterMetricFamily if kind == "counter" else GaugeMetricFamily)(name, text, labels=labels)
    for values, value in rows:
        metric.add_metric(_checked(name, labels, values), value)
    return metric


def histogram(name: str, rows: Iterable[tuple[Labels, Pow2Histogram]]) -> Metric:
    """A histogram of the catalogue, in seconds, ready for export; arguments and errors as for :func:`family`."""
    from prometheus_client.core import HistogramMetricFamily

    _, text, labels = CATALOGUE[name]
    metric = HistogramMetricFamily(name, text, labels=labels)
    for values, value in rows:
        metric.add_metric(_checked(name, labels, values), value.cumulative(), value.total_ns / 1e9)
    return metric


def _checked(name: str, labels: Labels, values: Labels) -> Labels:
    if len(values) != len(labels):
        raise ValueError(f"metric {name} has the labels {labels}, got the values {values}")
    return values


class Source(Protocol):
    """Whoever counts something that operators want to see."""

    def samples(self) -> Iterable[Metric]:
        """The current figures, from :func:`family` and :func:`histogram`; asked for at each scrape only."""
        ...


class FillCounts:
    """Counts executions by source, side and liquidity. A source.

    Args:
        sources: where fills may come from in this process (``sim``, ``reconcile``, ``manual``): their series start
            at zero. With none, the series that say ``none`` stand in their place, so that queries find something.
    """

    _NAMES: Final = (
        "grinder_fills_total",
        "grinder_fill_notional_total",
        "grinder_fill_fees_total",
        "grinder_fill_rebates_total",
    )

    def __init__(self, sources: Iterable[str] = ()) -> None:
        self._rows: dict[tuple[str, str, str], list[Decimal]] = {}
        self._unconverted: dict[str, int] = {}
        for source in sources:
            self._open(source)

    def add(self, source: str, side: Side, maker: bool, notional: Decimal, fee: Decimal | None) -> None:
        """Count one execution.

        Args:
            source: where it was learned from.
            side: of the fill.
            maker: whether it added liquidity.
            notional: price times quantity, in quote units.
            fee: in quote units, negative for a rebate; None when its asset cannot be converted.
        """
        if source not in self._unconverted:
            self._open(source)
        row = self._rows[source, side.value.lower(), "maker" if maker else "taker"]
        row[0] += 1
        row[1] += notional
        if fee is None:
            self._unconverted[source] += 1
        elif fee > 0:
            row[2] += fee
        else:
            row[3] -= fee

    def samples(self) -> Iterator[Metric]:
        """The four counters of fills, and the fees that could not be converted."""
        rows = self._rows or {("none", "none", "none"): [Decimal(0)] * 4}
        for index, name in enumerate(self._NAMES):
            yield family(name, ((labels, float(values[index])) for labels, values in rows.items()))
        unconverted = self._unconverted or {"none": 0}
        yield family("grinder_fill_fees_unconverted_total", (((source,), n) for source, n in unconverted.items()))

    def _open(self, source: str) -> None:
        self._unconverted[source] = 0
        for side in ("buy", "sell"):
            for liquidity in ("maker", "taker"):
                self._rows[source, side, liquidity] = [Decimal(0)] * 4


class Metrics:
    """Exports the figures of every source, and of the process itself, through a registry.

    Attributes:
        initialized: whether the engine has been built and started; the engine sets it.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        from prometheus_client import disable_created_metrics

        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.initialized = False
        self._sources: list[Source] = []
        self._readiness: Callable[[], Mapping[str, str]] | None = None
        self._errors = 0
        self._started = measure_ns()
        registry.register(self)

    def attach(self, source: Source) -> None:
        """Ask this source at each scrape. Sources may share a metric, each with label values of its own."""
        self._sources.append(source)

    def watch(self, readiness: Callable[[], Mapping[str, str]]) -> None:
        """Export readiness: the callback names the failing checks, as for ``/readyz``."""
        self._readiness = readiness

    def uptime_s(self) -> float:
        """Seconds since this was made."""
        return (measure_ns() - self._started) / 1e9

    def describe(self) -> Iterator[Metric]:
        """Nothing: registering must not ask the sources, which may not be ready yet."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Everything, once per metric. A source that fails is left out and counted; the others are exported."""
        merged: dict[str, Metric] = {}
        for source in self._sources:
            try:
                found = list(source.samples())
            except Exception:  # noqa: BLE001 - the other figures matter most while something is broken
                self._errors += 1
                continue
            for metric in found:
                if metric.name in merged:
                    merged[metric.name].samples.extend(metric.samples)
                else:
                    merged[metric.name] = metric
        yield from self._own()
        yield from merged.values()

    def _own(self) -> Iterator[Metric]:
        yield family("grinder_up", [((), 1)])
        yield family("grinder_uptime_seconds", [((), self.uptime_s())])
        yield family("grinder_readyz_callback_registered", [((), self._readiness is not None)])
        yield family("grinder_readyz_ready", [((), self._ready())])
        yield family("grinder_live_engine_initialized", [((), self.initialized)])
        yield family("grinder_metrics_source_errors_total", [((), self._errors)])

    def _ready(self) -> bool:
        try:
            return self._readiness is not None and not self._readiness()
        except Exception:  # noqa: BLE001 - a check that fails to answer is not a pass
            return False


def text(registry: CollectorRegistry) -> str:
    """Everything in the Prometheus text format: what ``metrics.prom`` holds."""
    from prometheus_client import generate_latest

    return generate_latest(registry).decode()
