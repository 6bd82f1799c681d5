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
from grinder.engine.assembly import Assembly
from grinder.engine.closing import RunFacts, run_facts, summarise
from grinder.engine.instance import log_fault
from grinder.engine.marking import Marking
from grinder.engine.observe import Observation
from grinder.engine.options import RunOptions
from grinder.engine.plugins import Loaded, load
from grinder.engine.recovery import recover
from grinder.engine.run import Loop
from grinder.engine.sampler import Sampler
from grinder.engine.state import INPUTS, check_inputs, open_state, take
from grinder.engine.surroundings import calm_collector, input_rows, open_feed, print_trace, stop_signals
from grinder.engine.watchdog import Watchdog
from grinder.errors import ConfigError, SafetyError
from grinder.evidence.summary import METRICS, REPORT, SUMMARY, Summary
from grinder.evidence.timeline import Timeline, interval_ns
from grinder.exchange import Exchange, ExchangeContext
from grinder.feeds.feed import Feed
from grinder.files import remove, write_atomic
from grinder.host.discovery import PluginState, check_left_out
from grinder.log import configure, get_logger, utc
from grinder.reasons import CORE_REASONS
from grinder.settings.model import ExchangeSettings
from grinder.settings.saved import SETTINGS, changed, saved
from grinder.types import Route

if TYPE_CHECKING:
    from grinder.server import Server

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
        loaded = load(sources, trace=trace, on_fault=lambda *fault: log_fault(get_logger(), *fault))
        settings = loaded.settings
        check_left_out(options.no_plugin, loaded.host.records)
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
        self._clock = ManualClock()
        self._stack.callback(take(self.out).close)
        self._state = open_state(self._options, self._settings, self.out)
        self._stack.callback(self._state.journal.close)
        self._inputs = input_rows(self._feed, self._options.seed)
        self._known_inputs = check_inputs(self._state, self._inputs)
        if not self._options.resume:
            self._forget_the_end()
        parts = self._parts = self._assemble()
        self._stack.callback(parts.close)
        self._market, self._account, self._path = parts.market, parts.account, parts.path
        self._timeline = self._open_timeline()
        self._stack.callback(self._timeline.close)
        self._executor = parts.connect(self._paper_exchange())
        self._facts = self._run_facts()
        skip_to = self._resume() if self._options.resume else 0
        self._say_what_matters()
        parts.start_plugins()
        self._loop = self._make_loop(skip_to)
        self._observation = Observation(
            executor=self._executor,
            gating=parts.gating,
            market=self._market,
            host=self._host,
            symbols=self._feed.symbols,
        )

    def _open_timeline(self) -> Timeline:
        span = self._feed.last_ns - self._feed.first_ns
        if self._options.duration is not None:
            span = min(span, self._options.duration)
        return Timeline(self.out, interval_ns(span, len(self._feed.symbols)), keep=self._options.resume)

    def _assemble(self) -> Assembly:
        return Assembly(
            self._loaded,
            self._state,
            clock=self._clock,
            instruments=self._feed.instruments,
            venue="paper",
            route=Route.PAPER,
            live=self._settings.live,
            out=self.out,
            keep=self._options.resume,
            log=self._log,
            trace=print_trace if os.environ.get("GRINDER_TRACE") == "1" else None,
        )

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
        self._forget_the_end()
        self._timeline.restore(skip_to)
        self._parts.markouts.restore(self._state.journal.decisions(), self._state.recovered.next_intent_number)
        before = self._state.recovered.state.get("settings_sha256")
        if before not in {None, self._facts.settings_sha256}:
            self._log.warning(
                "SETTINGS_CHANGED",
                keys=changed(self.out / SETTINGS, self._settings),
                before=before,
                now=self._facts.settings_sha256,
            )
        return skip_to

    def _forget_the_end(self) -> None:
        """What was written at an earlier end would speak of other records than those that this run leaves."""
        for name in (SUMMARY, METRICS, REPORT):
            remove(self.out / name)

    def _say_what_matters(self) -> None:
        """What an operator should know before the first order."""
        self._state.journal.put_state("settings_sha256", self._facts.settings_sha256)
        self._state.journal.put_state(INPUTS, self._known_inputs)
        write_atomic(self.out / SETTINGS, saved(self._settings))
        for record in self._host.records:
            if record.state is PluginState.DENIED:
                self._log.warning("PLUGIN_DENIED", plugin=record.name, reason=record.reason)
        for source in self._feed.inputs:
            if source.format.startswith("binance-spot"):
                self._log.warning("SPOT_AS_LINEAR", input=source.path, note="positions may go short, as of a perpetual")

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
                hedge=self._settings.engine.position_mode == "hedge",
                traded=bool(self._state.recovered.orders or self._state.recovered.ledger.fills),
            )
        )
        self._stack.callback(exchange.stop)
        return exchange

    def _make_loop(self, skip_to: int) -> Loop:
        settings, feed = self._settings, self._feed
        strategy_settings = settings.plugins.get(settings.strategy)
        return Loop(
            feed=feed,
            market=self._market,
            clock=self._clock,
            executor=self._executor,
            strategy=self._loaded.strategy.create(strategy_settings, feed.symbols, feed.instruments),
            account=self._parts.desk.face,
            runtime=self._parts.runtime,
            marking=Marking(self._parts.markouts, self._market, feed.symbols),
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
        return run_facts(self._loaded, self._parts, LiveClock().now_ns(), self._options.seed, self._inputs)

    def _close(self, wall_s: float) -> Summary:
        """Flush everything, then write the summary, the metrics and the report."""
        executor = self._executor
        self._parts.markouts.close()
        self._timeline.close()
        executor.recorder.close()
        summary = summarise(
            self._facts,
            executor=executor,
            gating=self._parts.gating,
            market=self._market,
            instruments=self._feed.instruments,
            reasons=self._loaded.reasons,
            wall_s=wall_s,
            covered_ns=(self._loop.first_ns, self._loop.last_ns),
        )
        if not self._loop.stopping:
            self._state.journal.mark_finished()
        tally = executor.tally
        if (
            tally.strategy_errors
            or tally.quarantined_fills
            or tally.fills_beyond_order
            or executor.recorder.lost
            or self._path.unavailable
        ):
            self.exit_code = 1
        elif self._loop.stopped_by == signal.SIGINT:
            self.exit_code = INTERRUPTED
        summary.write(self.out)
        from grinder.evidence.report import write_report

        write_atomic(self.out / METRICS, self._observation.text().encode())
        write_report(self.out)
        for file in (self._parts.markouts, self._timeline):
            if file.error:
                self._log.warning("EVIDENCE_INCOMPLETE", error=file.error)
        for symbol in self._feed.symbols:
            fault = self._market.fault(symbol)
            if fault:
                self._log.warning("MARKET_UNHEALTHY", symbol=symbol, reason=fault, meaning=CORE_REASONS[fault])
        for kind, count in sorted(self._feed.skipped.items()):
            self._log.warning("INPUT_SKIPPED", kind=kind, count=count)
        return summary
