"""One run, from options to evidence: opens everything in order, drives the loop, closes everything in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from grinder.clock import LiveClock, ManualClock, measure_ns
from grinder.decisions import Decision
from grinder.engine.account import Account
from grinder.engine.closing import RunFacts, plugin_rows, summarise
from grinder.engine.draft import Desk
from grinder.engine.executor import Executor
from grinder.engine.faces import AccountFace
from grinder.engine.gating import Gating
from grinder.engine.observe import Observation
from grinder.engine.options import RunOptions
from grinder.engine.path import OrderPath
from grinder.engine.plugins import Loaded, load
from grinder.engine.recovery import recover
from grinder.engine.run import Loop
from grinder.engine.runtime import Runtime
from grinder.engine.sampler import Sampler
from grinder.engine.settlement import Settlement, Venue
from grinder.engine.state import open_state
from grinder.engine.surroundings import calm_collector, log_fault, open_feed, print_trace, stop_signals
from grinder.engine.tally import Tally
from grinder.engine.watchdog import Watchdog
from grinder.errors import ConfigError, SafetyError
from grinder.evidence.lines import write_atomic
from grinder.evidence.markouts import Markouts
from grinder.evidence.recorder import Recorder
from grinder.evidence.summary import InputRow, PluginRow, Summary
from grinder.evidence.timeline import Timeline, interval_ns
from grinder.exchange import Exchange, ExchangeContext
from grinder.feeds.feed import Feed
from grinder.host.discovery import PluginState
from grinder.host.hookspecs import PluginContext
from grinder.log import configure, get_logger, utc
from grinder.market.state import MarketState
from grinder.reasons import CORE_REASONS
from grinder.settings.model import ExchangeSettings
from grinder.settings.report import fingerprint
from grinder.settings.saved import SETTINGS, saved
from grinder.types import IntentKind, Route

if TYPE_CHECKING:
    from grinder.server import Server

MS = 1_000_000
INTERRUPTED = 130


class Session:
    """A run whose settings, plugins and feed have been opened; ``run`` does the rest.

    Attributes:
        out: where the evidence goes.
        exit_code: 0; 1 when the order path met an error (a strategy that raised, records that were lost); 130 when
            it was interrupted at the keyboard, with everything flushed.
    """

    def __init__(self, options: RunOptions, loaded: Loaded, feed: Feed) -> None:
        self._options = options
        self._loaded = loaded
        self._feed = feed
        self._settings = loaded.settings
        self._host = loaded.host
        self._log = get_logger()
        self._stack = contextlib.ExitStack()
        self._stack.callback(feed.close)
        self.out = options.out if options.out is not None else Path("runs") / loaded.settings.profile
        self.progress: Callable[[int, int], None] | None = None
        self.exit_code = 0

    @classmethod
    def open(cls, options: RunOptions) -> Session:
        """Read settings, load plugins, open the feed. Nothing has been written yet.

        Raises:
            ConfigError: options, settings, plugins or a named file are wrong.
            InputError: a recording is damaged.
            SafetyError: trading on a real venue was asked for.
        """
        trace = print_trace if os.environ.get("GRINDER_TRACE") == "1" else None
        sources = options.sources()
        if sources.part("exchange", ExchangeSettings).mode == "real":
            raise SafetyError("this version trades on paper only; set exchange.mode: paper")
        loaded = load(sources, trace=trace, on_fault=log_fault)
        settings = loaded.settings
        configure(settings.log.level, json=settings.log.json_lines or options.as_json, file=options.log_file)
        return cls(options, loaded, open_feed(options, settings.symbols))

    def run(self) -> Summary:
        """Drive the run to its end and write its evidence.

        Raises:
            StateError: the data directory is in use, finished, or damaged.
            InputError: a recording turned out to be damaged on the way.
        """
        return asyncio.run(self._run())

    async def _run(self) -> Summary:
        begin = measure_ns()
        with self._stack:
            self._build()
            await self._drive()
            return self._close((measure_ns() - begin) / 1e9)

    # Building, from the ground up.

    def _build(self) -> None:
        settings = self._settings
        self._clock = ManualClock()
        self._market = MarketState(settings.market.stale_ms * MS)
        self._runtime = Runtime(self._market)
        self._state = open_state(self._options, settings, self.out)
        self._stack.callback(self._state.journal.close)
        self._gating = Gating(
            self._host,
            settings.gates.order,
            live=settings.live,
            first_block=settings.gates.evaluate == "first_block",
            trace=print_trace if os.environ.get("GRINDER_TRACE") == "1" else None,
            log=self._log.info,
        )
        self._gating.restore(self._state.recovered.state.get("breakers", {}))
        self._account = Account("paper", leverage=settings.sizing.leverage)
        self._desk = Desk(self._account, AccountFace(self._account), real=False)
        self._path = self._order_path(self._desk)
        self._paper = self._paper_exchange()
        self._markouts = Markouts(self.out, keep=self._options.resume)
        self._stack.callback(self._markouts.close)
        self._timeline = self._open_timeline()
        self._stack.callback(self._timeline.close)
        self._executor = self._make_executor()
        self._facts = self._run_facts()
        skip_to = self._resume() if self._options.resume else 0
        self._say_what_matters()
        self._host.start(self._contexts())
        self._stack.callback(self._host.stop)
        self._loop = self._make_loop(skip_to)
        self._observation = Observation(
            executor=self._executor,
            gating=self._gating,
            market=self._market,
            host=self._host,
            symbols=self._feed.symbols,
        )

    def _open_timeline(self) -> Timeline:
        span = self._feed.last_ns - self._feed.first_ns
        if self._options.duration is not None:
            span = min(span, self._options.duration)
        return Timeline(self.out, interval_ns(span, len(self._feed.symbols)), keep=self._options.resume)

    def _resume(self) -> int:
        """Take the journal over; event time up to which the market has been traded already, ns.

        Raises:
            ConfigError: the input ends before that.
        """
        skip_to = recover(self._executor, self._state, self._clock)
        duration = self._options.duration
        end = self._feed.last_ns if duration is None else min(self._feed.last_ns, self._feed.first_ns + duration)
        if skip_to > end:
            raise ConfigError(
                f"the market has been traded up to {utc(skip_to)}, but this input ends at {utc(end)}: give the "
                "recording and the --duration of the run that is resumed, or start afresh without --resume"
            )
        self._timeline.restore(skip_to)
        before = self._state.recovered.state.get("settings_sha256")
        if before not in {None, self._facts.settings_sha256}:
            self._log.warning("SETTINGS_CHANGED", before=before, now=self._facts.settings_sha256)
        return skip_to

    def _say_what_matters(self) -> None:
        """What an operator should know before the first order."""
        self._state.journal.put_state("settings_sha256", self._facts.settings_sha256)
        write_atomic(self.out / SETTINGS, saved(self._settings))
        for record in self._host.records:
            if record.state is PluginState.DENIED:
                self._log.warning("PLUGIN_DENIED", plugin=record.name, reason=record.reason)
        for source in self._feed.inputs:
            if source.format.startswith("binance-spot"):
                self._log.warning("SPOT_AS_LINEAR", input=source.path, note="positions may go short, as of a perpetual")

    def _order_path(self, desk: Desk) -> OrderPath:
        settings = self._settings
        return OrderPath(
            tag=self._state.recovered.tag,
            market=self._market,
            instruments=self._feed.instruments,
            desks={Route.PAPER: desk},
            chain_for=self._gating.chain,
            policies=self._loaded.policies,
            runtime=self._runtime,
            max_in_flight=settings.engine.max_in_flight,
            hedge=settings.engine.position_mode == "hedge",
            venue_reduce_only=settings.exchange.reduce_only,
            maker_only=settings.exchange.maker_only,
            post_only=settings.exchange.post_only,
        )

    def _paper_exchange(self) -> Exchange:
        settings = self._settings.exchanges.get("paper")
        exchange: Exchange = self._loaded.exchanges["paper"].create(settings)
        exchange.start(
            ExchangeContext(
                clock=self._clock,
                instruments=self._feed.instruments,
                market=self._market,
                data_dir=self._state.folder,
                seed=self._options.seed,
                resume=self._options.resume,
                settings=settings,
            )
        )
        self._stack.callback(exchange.stop)
        return exchange

    def _make_executor(self) -> Executor:
        engine, recovered = self._settings.engine, self._state.recovered
        tally = Tally()
        recorder = Recorder(self.out, run_id=recovered.tag)
        self._stack.callback(recorder.close)
        settlement = Settlement(
            venues=(Venue(self._paper, self._desk, (Route.PAPER,)),),
            path=self._path,
            journal=self._state.journal,
            ledger=recovered.ledger,
            tally=tally,
            clock=self._clock,
            quote=self._quote,
            visibility_lag_ns=engine.visibility_lag_ms * MS,
            order_memory=engine.order_memory,
            log=self._log,
        )
        executor = Executor(
            path=self._path,
            settlement=settlement,
            journal=self._state.journal,
            recorder=recorder,
            tally=tally,
            host=self._host,
            clock=self._clock,
            recovered=recovered,
            decision_ttl_ns=engine.decision_ttl_ms * MS,
            live=self._settings.live,
            offload=self._settings.journal_sync == "power",
            log=self._log,
        )
        executor.on_decision = self._track
        executor.before_commit = self._save_breakers
        return executor

    def _track(self, decision: Decision) -> None:
        intent = decision.intent
        if intent.kind is not IntentKind.CANCEL:
            self._markouts.track(intent.intent_id, intent.symbol, intent.side, decision.now_ns, decision.mid)

    def _quote(self, symbol: str) -> str:
        instrument = self._feed.instruments.get(symbol)
        return instrument.quote if instrument is not None else ""

    def _save_breakers(self) -> None:
        if self._gating.dirty:
            self._state.journal.put_state("breakers", self._gating.save())

    def _make_loop(self, skip_to: int) -> Loop:
        settings, feed = self._settings, self._feed
        strategy_settings = settings.plugins.get(settings.strategy)
        return Loop(
            feed=feed,
            market=self._market,
            clock=self._clock,
            executor=self._executor,
            strategy=self._loaded.strategy.create(strategy_settings, feed.symbols, feed.instruments),
            account=self._desk.face,
            runtime=self._runtime,
            markouts=self._markouts,
            sampler=Sampler(
                self._timeline,
                account=self._account,
                ledger=self._executor.settlement.ledger,
                market=self._market,
                symbols=feed.symbols,
            ),
            watchdog=Watchdog(settings.engine.watchdog_s),
            symbols=feed.symbols,
            duration_ns=self._options.duration or 0,
            skip_to_ns=skip_to,
            pace=self._options.speed,
            progress=self.progress,
            log=self._log.error,
        )

    def _contexts(self) -> dict[str, PluginContext]:
        contexts = {}
        for name in self._host.models():
            folder = self._state.folder / "plugins" / name
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            contexts[name] = PluginContext(self._settings.plugins.get(name), self._clock, folder)
        return contexts

    # Driving.

    async def _drive(self) -> None:
        server: Server | None = None
        try:
            with stop_signals(self._loop), calm_collector():
                server = await self._serve()
                self._loop.watchdog.start()
                await self._loop.run()
        finally:
            self._loop.watchdog.stop()
            if server is not None:
                await server.stop()

    async def _serve(self) -> Server | None:
        """The server, when the run is paced or one was asked for."""
        options, settings = self._options, self._settings.metrics
        if not options.speed and options.metrics_host is None and options.metrics_port is None:
            return None
        server = await self._observation.serve(settings.host, settings.port)
        self._log.info("METRICS_SERVED", url=f"http://{server.host}:{server.port}/metrics")
        return server

    # Closing.

    def _run_facts(self) -> RunFacts:
        others = [PluginRow(name=r.name, version=r.version) for r in self._loaded.extensions]
        feed = self._feed
        inputs = tuple(
            InputRow(
                path=i.path, sha256=i.sha256, first_ns=i.first_ns, last_ns=i.last_ns, clock_shift_ns=i.clock_shift_ns
            )
            for i in feed.inputs
        )
        synthetic = InputRow(path=f"synthetic:{self._options.seed}", first_ns=feed.first_ns, last_ns=feed.last_ns)
        stamp = utc(LiveClock().now_ns(), 0).translate(str.maketrans("", "", "-:"))
        return RunFacts(
            run_id=f"{stamp}-{self._state.recovered.tag}",
            profile=self._settings.profile,
            seed=self._options.seed,
            inputs=inputs or (synthetic,),
            settings_sha256=fingerprint(self._settings),
            plugins=plugin_rows(self._gating, others),
        )

    def _close(self, wall_s: float) -> Summary:
        """Flush everything, then write the summary, the metrics and the report."""
        executor = self._executor
        self._markouts.close()
        self._timeline.close()
        executor.recorder.close()
        summary = summarise(
            self._facts,
            executor=executor,
            gating=self._gating,
            market=self._market,
            instruments=self._feed.instruments,
            reasons=self._loaded.reasons,
            wall_s=wall_s,
            covered_ns=(self._loop.first_ns, self._loop.last_ns),
        )
        if not self._loop.stopping:
            self._state.journal.mark_finished()
        tally = executor.tally
        if tally.strategy_errors or tally.quarantined_fills or executor.recorder.lost or self._path.unavailable:
            self.exit_code = 1
        elif self._loop.stopped_by == signal.SIGINT:
            self.exit_code = INTERRUPTED
        summary.write(self.out)
        from grinder.evidence.report import write_report

        write_atomic(self.out / "metrics.prom", self._observation.text().encode())
        write_report(self.out)
        for file in (self._markouts, self._timeline):
            if file.error:
                self._log.warning("EVIDENCE_INCOMPLETE", error=file.error)
        for symbol in self._feed.symbols:
            fault = self._market.fault(symbol)
            if fault:
                self._log.warning("MARKET_UNHEALTHY", symbol=symbol, reason=fault, meaning=CORE_REASONS[fault])
        for kind, count in sorted(self._feed.skipped.items()):
            self._log.warning("INPUT_SKIPPED", kind=kind, count=count)
        return summary
