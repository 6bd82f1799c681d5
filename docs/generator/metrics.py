"""Metrics from the catalogue."""

from __future__ import annotations

from generator.markdown import page, prose, table
from grinder.metrics.catalogue import CATALOGUE, FORBIDDEN_LABELS

INTRO = f"""
Served at `/metrics` while a run serves (see [metrics and health](../how-to/metrics-and-health.md)), in the
Prometheus text format, or OpenMetrics where it is asked for; written once more to `metrics.prom` when a run ends.
Counting happens in plain integers on the order path; the figures are put together when somebody asks.

No `grinder_*` metric has one of the labels {", ".join(f"`{label}`" for label in sorted(FORBIDDEN_LABELS))}: their
values grow without bound. Metrics without the prefix carry the names that operators' dashboards already use; where
they have `symbol`, it is one of the run's symbols. Histograms have buckets that double, from about 1 µs to about 17
s.
"""


def build() -> str:
    """The page."""
    rows = (
        (f"`{name}`", kind, ", ".join(f"`{label}`" for label in labels), prose(text))
        for name, (kind, text, labels) in CATALOGUE.items()
    )
    return page("Metrics", INTRO, table(("metric", "type", "labels", "meaning"), rows))
