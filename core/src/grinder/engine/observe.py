"""What metrics see of a run: the tally, the gates and the feed, exported when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from grinder.decisions import Mode
from grinder.engine.executor import Executor
from grinder.engine.gating import Gating
from grinder.engine.tally import Tally
from grinder.gates.breaker import BreakerState
from grinder.gates.stats import COUNT_NAMES
from grinder.host.manager import Host
from grinder.market.state import MarketState
from grinder.metrics.export import Metrics, text
from grinder.metrics.families import family, histogram

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from grinder.server import Server

BLOCK_MODES: Final = {"block": Mode.ENFORCE, "shadow_block": Mode.SHADOW}
BREAKER_VALUE: Final = {BreakerState.CLOSED: 0, BreakerState.OPEN: 1, BreakerState.HALF_OPEN: 2}


class RunSource:
    """A source of metrics: reads counters that the run keeps anyway."""

    def __init__(self, tally: Tally, gating: Gating, market: MarketState, host: Host) -> None:
        self._tally = tally
        self._gating = gating
        self._market = market
        self._host = host

    def samples(self) -> Iterator[Metric]:
        """The figures of this moment."""
        tally, stats = self._tally, self._gating.stats.values()
        yield family("grinder_gate_decisions_total", self._gate_rows())
        yield family(
            "grinder_gate_blocks_total",
            (((s.name, reason), n) for s in stats for (reason, enforced), n in s.reasons.items() if enforced),
        )
        yield histogram("grinder_gate_seconds", [((s.name,), s.histogram) for s in stats])
        yield family("grinder_gate_budget_overruns_total", (((s.name,), s.overruns) for s in stats))
        breakers = [((s.name, "fault"), s.fault_breaker) for s in stats]
        breakers += [((s.name, "verdict"), s.verdict_breaker) for s in stats if s.verdict_breaker is not None]
        yield family("grinder_gate_breaker_state", ((labels, BREAKER_VALUE[b.state]) for labels, b in breakers))
        yield family("grinder_gate_breaker_trips_total", ((labels, b.trips) for labels, b in breakers))
        yield family("grinder_gate_bypassed_total", (((s.name,), s.bypassed) for s in stats))
        yield family("grinder_host_faults_total", (((p, hook), n) for (p, hook), n in self._host.faults.items()))
        yield histogram("grinder_decision_seconds", [((), tally.decision_ns)])
        yield histogram("grinder_journal_commit_seconds", [((), tally.commit_ns)])
        allowed = [(("allowed", "OK"), tally.outcomes["allowed"])]
        yield family("grinder_decisions_total", [*allowed, *(((o, r), n) for (o, r), n in tally.reasons.items())])
        yield family("grinder_orders_total", tally.orders.items())
        routes = (((route, "rollout"), n) for route, n in tally.routes.items())
        yield family("grinder_router_decision_total", routes)
        yield family("grinder_feed_events_total", [((), self._market.events)])
        yield family("grinder_feed_gaps_total", [((), self._market.gaps)])
        yield family("gate_drop_reason_total", self._drop_rows())
        yield family("trades_opened_total", (((route,), n) for route, n in tally.opened.items()))
        warming = [((symbol,), n) for (by, symbol), n in tally.blocked_by.items() if by == "warm_up"]
        for name in ("warmup_drop_total", "warmup_skip_total"):
            yield family(name, warming)

    def _gate_rows(self) -> Iterator[tuple[tuple[str, ...], float]]:
        for gate in self._gating.gates:
            for name, count in zip(COUNT_NAMES, self._gating.stats[gate.name].counts, strict=True):
                mode = BLOCK_MODES.get(name, gate.settings.mode)
                yield (gate.name, name.removeprefix("shadow_"), mode.value), count

    def _drop_rows(self) -> Iterator[tuple[tuple[str, ...], float]]:
        totals: dict[str, int] = {}
        for (_, reason), count in self._tally.reasons.items():
            totals[reason] = totals.get(reason, 0) + count
        return (((reason,), count) for reason, count in sorted(totals.items()))


class Observation:
    """What the outside sees of a run: its metrics, its readiness, its plugins."""

    def __init__(
        self, *, executor: Executor, gating: Gating, market: MarketState, host: Host, symbols: Sequence[str]
    ) -> None:
        from prometheus_client import CollectorRegistry

        self._executor = executor
        self._market = market
        self._host = host
        self._symbols = tuple(symbols)
        self._registry = CollectorRegistry()
        self._metrics = Metrics(self._registry)
        self._metrics.attach(RunSource(executor.tally, gating, market, host))
        self._metrics.attach(executor.tally.fills)
        self._metrics.watch(self.failing)
        self._metrics.initialized = True

    def failing(self) -> Mapping[str, str]:
        """Checks that fail, for ``/readyz``."""
        failing = {name: problem for name, problem in self._host.health().items() if problem}
        if self._executor.path.unavailable:
            failing["journal"] = self._executor.path.unavailable
        if self._executor.recorder.error:
            failing["records"] = self._executor.recorder.error
        for symbol in self._symbols:
            fault = self._market.fault(symbol)
            if fault:
                failing[f"market {symbol}"] = fault
        return failing

    def text(self) -> str:
        """All metrics in the Prometheus text format."""
        return text(self._registry)

    async def serve(self, host: str, port: int) -> Server:
        """Serve metrics, health, readiness and the list of plugins.

        Raises:
            ConfigError: the address cannot be bound.
        """
        from grinder.server import Server

        server = Server(
            host,
            port,
            registry=self._registry,
            readiness=self.failing,
            plugins=self._plugins,
            uptime=self._metrics.uptime_s,
        )
        await server.start()
        return server

    def _plugins(self) -> list[dict[str, Any]]:
        return [
            {key: getattr(record, key) for key in ("name", "state", "reason", "distribution", "version")}
            for record in self._host.records
        ]
