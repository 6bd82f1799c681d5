"""Export: every source of figures is asked when somebody scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from grinder.clock import measure_ns
from grinder.metrics.families import family

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric


class Source(Protocol):
    """Whoever counts something that operators want to see."""

    def samples(self) -> Iterable[Metric]:
        """The current figures, from :func:`family` and :func:`histogram`; asked for at each scrape only."""
        ...


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
