"""Every metric that core exports: its type, what it says, its labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


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
