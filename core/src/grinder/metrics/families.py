"""Metrics of the catalogue with their figures, ready for export."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from grinder.metrics.catalogue import CATALOGUE
from grinder.metrics.histogram import Pow2Histogram

if TYPE_CHECKING:
    from prometheus_client.core import Metric

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
