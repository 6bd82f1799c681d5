"""The end of a run: its figures, its report, its metrics, written where the operator looks for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

import msgspec

from grinder.decisions import Outcome
from grinder.engine.assembly import Assembly
from grinder.engine.executor import Executor
from grinder.engine.gating import Gating
from grinder.engine.plugins import Hosted
from grinder.engine.worth import money, value_price, worth
from grinder.evidence.summary import (
    DecisionCounts,
    DecisionTimes,
    FeedHealth,
    GateCounts,
    InputRow,
    OrderCounts,
    Outcomes,
    PluginRow,
    Pnl,
    PositionRow,
    RecordHealth,
    Summary,
)
from grinder.gates.stats import COUNT_NAMES
from grinder.host.discovery import PluginRecord
from grinder.instruments import Instrument
from grinder.log import utc
from grinder.market.state import MarketState
from grinder.reasons import ReasonRegistry
from grinder.settings.report import fingerprint

ZERO = Decimal(0)


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run before it starts."""

    run_id: str
    profile: str
    seed: int
    inputs: tuple[InputRow, ...]
    settings_sha256: str
    plugins: tuple[PluginRow, ...]


def run_facts(loaded: Hosted, parts: Assembly, now_ns: int, seed: int, inputs: tuple[InputRow, ...] = ()) -> RunFacts:
    """The facts of a run, or of a program's gatekeeper, that is named after the time ``now_ns`` and its instance."""
    stamp = utc(now_ns, 0).translate(str.maketrans("", "", "-:"))
    return RunFacts(
        run_id=f"{stamp}-{parts.state.recovered.tag}",
        profile=loaded.settings.profile,
        seed=seed,
        inputs=inputs,
        settings_sha256=fingerprint(loaded.settings),
        plugins=tuple(_plugin_rows(parts.gating, loaded.extensions)),
    )


def summarise(
    facts: RunFacts,
    *,
    executor: Executor,
    gating: Gating,
    market: MarketState,
    instruments: Mapping[str, Instrument],
    reasons: ReasonRegistry,
    wall_s: float,
    covered_ns: tuple[int, int],
) -> Summary:
    """Every figure of ``summary.json``."""
    tally, recorder = executor.tally, executor.recorder
    positions = tuple(_positions(executor, market, instruments))
    holdings = [holding for _, holding in executor.settlement.ledger.holdings()]
    made = worth(executor.settlement.ledger, market)
    by_reason = _by_reason(tally.reasons)
    return Summary(
        run_id=facts.run_id,
        profile=facts.profile,
        covered_ns=covered_ns,
        seed=facts.seed,
        inputs=facts.inputs,
        settings_sha256=facts.settings_sha256,
        plugins=facts.plugins,
        events=market.events,
        intents=tally.intents,
        decisions=DecisionCounts(
            allowed=tally.outcomes["allowed"],
            blocked=tally.outcomes["blocked"],
            dropped=tally.outcomes["dropped"],
            by_gate=_by_gate(gating, tally.by_gate),
            by_reason=by_reason,
            cancels=_cancels(tally.cancels),
        ),
        orders=OrderCounts(**{name: tally.order_total(name) for name in OrderCounts.__struct_fields__}),
        rejects=dict(sorted(tally.rejects.items())),
        fills=executor.settlement.ledger.fills,
        filled_orders=tally.filled_orders,
        maker_fills=sum(holding.maker_fills for holding in holdings),
        volume=sum((holding.volume for holding in holdings), ZERO),
        fees=made.fees,
        payments=made.payments,
        venue_closures=dict(sorted(tally.venue_closures.items())),
        pnl=Pnl(realised=made.realised, unrealised=made.unrealised, net=made.net),
        positions=positions,
        feed=FeedHealth(
            gaps=market.gaps,
            stale_ms_max=market.stale_ms_max,
            book_checks=market.book_checks,
            book_mismatches=market.book_mismatches,
        ),
        wall_s=round(wall_s, 3),
        events_per_s=round(market.events / wall_s) if wall_s > 0 else 0,
        decision_us=DecisionTimes(
            p50=round(tally.decision_ns.quantile(0.5) / 1000, 1),
            p99=round(tally.decision_ns.quantile(0.99) / 1000, 1),
            max=round(tally.decision_ns.max_ns / 1000, 1),
        ),
        decision_buckets_us=tuple((below / 1000, count) for below, count in tally.decision_ns.counted()),
        decisions_sha256=recorder.decisions_sha256,
        fills_sha256=recorder.fills_sha256,
        records=RecordHealth(lost=recorder.lost, error=recorder.error),
        reasons={code: reasons.meaning(code) for code in by_reason},
        example=tally.last_blocked,
    )


def _by_reason(counts: Counter[tuple[str, str]]) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for (_, reason), count in counts.items():
        totals[reason] += count
    return dict(sorted(totals.items()))


def _cancels(counts: Counter[tuple[str, str]]) -> Outcomes:
    outcomes: Counter[str] = Counter()
    for (outcome, _), count in counts.items():
        outcomes[outcome] += count
    unsent = Counter({key: count for key, count in counts.items() if key[0] != Outcome.ALLOWED.value})
    return Outcomes(
        allowed=outcomes["allowed"],
        blocked=outcomes["blocked"],
        dropped=outcomes["dropped"],
        by_reason=_by_reason(unsent),
    )


def _by_gate(gating: Gating, earlier: dict[str, Counter[str]]) -> dict[str, GateCounts]:
    """Answers of each gate, those of earlier processes of the same run included."""
    rows = {}
    for gate in gating.gates:
        counts = Counter(dict(zip(COUNT_NAMES, gating.stats[gate.name].counts, strict=True)))
        counts.update(earlier.get(gate.name, Counter()))
        rows[gate.name] = GateCounts(**counts)
    return rows


def _positions(executor: Executor, market: MarketState, instruments: Mapping[str, Instrument]) -> Iterator[PositionRow]:
    for key, holding in executor.settlement.ledger.holdings():
        route, _, _, symbol, position_side = key
        price = value_price(market, symbol)
        if not holding.qty and not holding.realised:
            continue
        tick = instruments[symbol].tick_size if symbol in instruments else Decimal("1E-8")
        yield PositionRow(
            symbol=symbol,
            route=route.value,
            position_side=position_side.value,
            qty=holding.qty,
            entry_price=holding.entry_price.quantize(tick / 1000) if holding.qty else ZERO,
            price=price,
            realised=money(holding.realised),
            unrealised=money(holding.unrealised(price)) if price is not None else None,
        )


def _plugin_rows(gating: Gating, others: Iterable[PluginRecord]) -> Iterator[PluginRow]:
    """The gates in the order in which they are asked, then everything else that was loaded."""
    for gate in gating.gates:
        yield PluginRow(name=gate.name, version=gate.version, mode=gate.settings.mode.value)
    for record in others:
        yield PluginRow(name=record.name, version=record.version)
