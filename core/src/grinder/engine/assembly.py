"""The parts that every order passes through, put together once: for a run, and for a program with orders of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from grinder.clock import Clock
from grinder.decisions import Decision
from grinder.engine.account import Account
from grinder.engine.draft import Desk, Policies
from grinder.engine.executor import Executor
from grinder.engine.faces import AccountFace
from grinder.engine.gating import Gating
from grinder.engine.path import OrderPath
from grinder.engine.plugins import Hosted
from grinder.engine.runtime import Runtime
from grinder.engine.settlement import Settlement, Venue
from grinder.engine.state import State
from grinder.engine.tally import Tally
from grinder.evidence.markouts import Markouts
from grinder.evidence.recorder import Recorder
from grinder.exchange import Exchange
from grinder.host.hookspecs import PluginContext
from grinder.instruments import Instrument
from grinder.market.state import MarketState
from grinder.types import IntentKind, Route

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

MS = 1_000_000


class Assembly:
    """Market, gates, order path, journal and records around one account, without an exchange yet.

    Args:
        loaded: settings, host and policies.
        state: the open journal and what it holds.
        route: the one route there is, which leads to the account.
        live: whether an overrun of a budget is a verdict, and a decision can come too late.
        out: where records go.
        keep: continue the records of an earlier process.
        policies: in place of those that settings name.
        trace: where gate calls are printed, if anywhere.
    """

    def __init__(
        self,
        loaded: Hosted,
        state: State,
        *,
        clock: Clock,
        instruments: Mapping[str, Instrument],
        venue: str,
        route: Route,
        live: bool,
        out: Path,
        keep: bool,
        log: FilteringBoundLogger,
        policies: Policies | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        settings = loaded.settings
        self._loaded = loaded
        self._clock = clock
        self._live = live
        self._log = log
        self._stack = contextlib.ExitStack()
        self.state = state
        self.instruments = instruments
        self.route = route
        self.market = MarketState(settings.market.stale_ms * MS)
        self.runtime = Runtime(self.market)
        self.gating = Gating(
            loaded.host,
            settings.gates.order,
            live=live,
            first_block=settings.gates.evaluate == "first_block",
            trace=trace,
            log=log.info,
        )
        self.gating.restore(state.recovered.state.get("breakers", {}))
        self.account = Account(venue, leverage=settings.sizing.leverage)
        self.desk = Desk(self.account, AccountFace(self.account), real=route is not Route.PAPER)
        self.path = self._order_path(policies if policies is not None else loaded.policies)
        self.recorder = Recorder(out, run_id=state.recovered.tag)
        self._stack.callback(self.recorder.close)
        self.markouts = Markouts(out, keep=keep)
        self._stack.callback(self.markouts.close)

    def close(self) -> None:
        """Write and close the records."""
        self._stack.close()

    def connect(self, exchange: Exchange) -> Executor:
        """The executor of orders to an exchange that has been started."""
        executor = Executor(
            path=self.path,
            settlement=self._settlement(exchange),
            journal=self.state.journal,
            recorder=self.recorder,
            tally=self._tally,
            host=self._loaded.host,
            clock=self._clock,
            recovered=self.state.recovered,
            decision_ttl_ns=self._loaded.settings.engine.decision_ttl_ms * MS,
            live=self._live,
            offload=self._loaded.settings.journal_sync == "power",
            log=self._log,
        )
        executor.on_decision = self._track
        executor.before_commit = self._save_breakers
        return executor

    def start_plugins(self) -> None:
        """Start every plugin, each with a folder of its own; they are stopped when the assembly is closed.

        Raises:
            PluginError: one of them raised.
        """
        contexts = {}
        for name in self._loaded.host.models():
            folder = self.state.folder / "plugins" / name
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            contexts[name] = PluginContext(self._loaded.settings.plugins.get(name), self._clock, folder)
        self._loaded.host.start(contexts)
        self._stack.callback(self._loaded.host.stop)

    def _order_path(self, policies: Policies) -> OrderPath:
        settings = self._loaded.settings
        return OrderPath(
            tag=self.state.recovered.tag,
            market=self.market,
            instruments=self.instruments,
            desks={self.route: self.desk},
            chain_for=self.gating.chain,
            policies=policies,
            runtime=self.runtime,
            max_in_flight=settings.engine.max_in_flight,
            hedge=settings.engine.position_mode == "hedge",
            venue_reduce_only=settings.exchange.reduce_only,
            maker_only=settings.exchange.maker_only,
            post_only=settings.exchange.post_only,
        )

    def _settlement(self, exchange: Exchange) -> Settlement:
        engine = self._loaded.settings.engine
        self._tally = Tally()
        return Settlement(
            venues=(Venue(exchange, self.desk, (self.route,)),),
            path=self.path,
            journal=self.state.journal,
            ledger=self.state.recovered.ledger,
            tally=self._tally,
            clock=self._clock,
            quote=self._quote,
            visibility_lag_ns=engine.visibility_lag_ms * MS,
            order_memory=engine.order_memory,
            log=self._log,
        )

    def _quote(self, symbol: str) -> str:
        instrument = self.instruments.get(symbol)
        return instrument.quote if instrument is not None else ""

    def _track(self, decision: Decision) -> None:
        intent = decision.intent
        if intent.kind is not IntentKind.CANCEL:
            self.markouts.track(intent.intent_id, intent.symbol, intent.side, decision.now_ns, decision.mid)

    def _save_breakers(self) -> None:
        if self.gating.dirty:
            self.state.journal.put_state("breakers", self.gating.save())
