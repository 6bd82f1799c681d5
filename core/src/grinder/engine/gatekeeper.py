"""The host as a library, for programs that place their own orders with their own client."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

import msgspec

from grinder.clock import Clock, LiveClock, measure_ns
from grinder.decisions import Decision
from grinder.engine.booking import Booking
from grinder.engine.closing import run_facts, summarise
from grinder.engine.door import ClosedError
from grinder.engine.feeding import Feeding
from grinder.engine.instance import as_instruments, as_overrides, as_path, check_clock, log_fault, open_post
from grinder.engine.numbers import Number, text
from grinder.engine.plugins import Hosted, load_gates
from grinder.engine.post import Post
from grinder.engine.reporting import Reporting
from grinder.engine.statement import settle, statement
from grinder.errors import CallError
from grinder.exchange import VenueOrder, VenuePosition
from grinder.instruments import Instrument
from grinder.log import program_logger
from grinder.reconcile.report import ReconcileReport
from grinder.settings.groups import LogSettings
from grinder.settings.sources import Sources
from grinder.types import IntentKind, OpenOrder, OrderIntent, Position, PositionSide, TradingState


class GatekeeperStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a gatekeeper stands at one moment.

    Attributes:
        trading_state: of the whole instance.
        symbols: trading states of symbols that differ from it.
        blocked_by: why new risk is blocked whatever gates say, as a reason code; empty when it is not.
        market: by symbol, why its data cannot be used now, as a reason code; symbols whose data is well are left out.
        in_flight: orders that the venue has not answered, UNKNOWN ones among them.
        unknown: orders that ``unknown_orders`` would list.
        open: orders that may still trade.
        allowed: decisions since the journal began.
        blocked: decisions since the journal began.
        dropped: decisions since the journal began.
        records_error: why records wait or are lost; empty when all is well.
        reopen: why it has to be closed and opened again, as after a call that an exception interrupted; else empty.
        plugins: what plugins that are not well say of themselves.
    """

    trading_state: TradingState
    symbols: Mapping[str, TradingState]
    blocked_by: str
    market: Mapping[str, str]
    in_flight: int
    unknown: int
    open: int
    allowed: int
    blocked: int
    dropped: int
    records_error: str
    reopen: str
    plugins: Mapping[str, str]


class Gatekeeper(Feeding, Reporting, Booking):
    """Decides orders that a program sends by itself: the gates, limits, journal and records of a run, without its loop.

    The program feeds market data, asks ``check`` before each order, sends what was allowed under the decision's
    ``client_id``, and reports what became of it. It sends nothing itself and needs no keys and no permission to trade.

    Any thread may call; calls wait for one another. An order that was checked and never reported back counts as in
    flight, at its worst case, for ever: that is what is known of it.
    """

    def __init__(self, post: Post, loaded: Hosted, *, out: Path, seed: int) -> None:
        self._post = post
        self._loaded = loaded
        self._seed = seed
        self._began = measure_ns()
        self.out = out

    @classmethod
    def from_settings(
        cls,
        config: str | Path | None = None,
        *,
        data_dir: str | Path,
        profile: str | None = None,
        overrides: Mapping[str, object] | Iterable[str] = (),
        secrets_dir: str | Path | None = None,
        out: str | Path | None = None,
        instruments: Mapping[str, Instrument] | Iterable[Instrument] | None = None,
        clock: Clock | None = None,
        seed: int | None = None,
    ) -> Self:
        """Open the gates and the journal, new or as an earlier process left it, by the settings of ``grinder run``.

        Args:
            config: a settings file; it holds over the profile. None for the profile alone.
            data_dir: state of this instance; one process has it at a time.
            profile: where settings start from; None takes what the other sources say, else ``paper``.
            overrides: settings that hold over all others, as ``{"a.b": value}`` or as ``["a.b=value"]``.
            secrets_dir: folder of files that hold one secret each.
            out: where records go; None for the data directory.
            instruments: what is traded; None for the table that comes with grinder.
            clock: None for the machine's. With a ManualClock budgets are counted and are no verdicts, as in a replay.
            seed: gives client ids that a replay repeats; only with a ManualClock.

        Raises:
            ConfigError: settings, arguments, plugins or a named file are wrong. Nothing has been started.
            StateError: the data directory is in use, damaged, or of something else.
        """
        check_clock(clock, seed)
        sources = Sources.load(
            profile=profile,
            config=None if config is None else as_path("config", config),
            overrides=as_overrides(overrides),
            secrets_dir=None if secrets_dir is None else as_path("secrets_dir", secrets_dir),
        )
        log = program_logger(sources.part("log", LogSettings).level)
        loaded = load_gates(sources, on_fault=partial(log_fault, log))
        known = as_instruments(instruments, loaded.settings.symbols)
        where = as_path("data_dir", data_dir)
        place = where if out is None else as_path("out", out)
        post = open_post(loaded, where, place, instruments=known, clock=clock or LiveClock(), seed=seed, log=log)
        return cls(post, loaded, out=place, seed=seed or 0)

    def check(self, order: OrderIntent) -> Decision:
        """Decide one order; the decision is recorded, and durable, when this returns.

        Send it only if the decision is ``allowed``, and never twice: with its ``qty``, which may be smaller than what
        was asked for, its ``price``, its ``reduce_only`` flag, its ``client_id`` as the venue's client order id, and
        ``tif`` and ``trigger`` of ``decision.intent``. For a cancel or an amendment ``target`` is the intent id or the
        client id of the order meant. An order that makes no sense is a decision, too, and no exception.
        """
        post = self._post
        with post.door:
            post.tick()
            aimed = self._aimed(order)
            post.begin()
            decision = post.executor.decide(aimed)
            post.rest(decision.now_ns)
            return decision

    def sync(
        self,
        *,
        balance: Number | None = None,
        positions: Iterable[VenuePosition] | None = None,
        open_orders: Iterable[VenueOrder] | None = None,
        adopt: str = "",
    ) -> ReconcileReport:
        """State what the venue holds: after every start, before new risk is taken, and from time to time.

        Report the fills that are known first. What the account held before the first order ever is taken over; a later
        difference makes its symbol only reduce, until a pass with positions and open orders finds none. Open orders
        that were not decided here count at their worst case, under the name ``venue:SYMBOL:ID``.

        Args:
            balance: wallet balance in quote units.
            positions: every position of the account; what is not listed is flat. None when the read failed.
            open_orders: every open order of the account. None when the read failed.
            adopt: a person's reason to take positions over as they are stated, differences and all.

        Raises:
            CallError: something in it makes no sense or contradicts itself, such as a leg or an order that is stated
                twice, or an order without any id. Nothing was changed.
        """
        post = self._post
        with post.door:
            now = post.tick()
            said = statement(post, balance, positions, open_orders)
            reason = text("adopt", adopt)
            post.begin()
            return settle(post, said, reason, now)

    def halt(self, reason: str, *, reduce_only: bool = False) -> None:
        """Let nothing but cancels through (``reduce_only``: what reduces, too) until ``resume``; restarts keep it.

        Raises:
            CallError: no reason was given.
        """
        self._trade(TradingState.REDUCE_ONLY if reduce_only else TradingState.HALTED, reason)

    def resume(self, reason: str) -> None:
        """Trade again after ``halt``. Symbols that only reduce because of a mismatch wait for a clean ``sync``.

        Raises:
            CallError: no reason was given.
        """
        self._trade(TradingState.ACTIVE, reason)

    def open_orders(self, symbol: str | None = None) -> tuple[OpenOrder, ...]:
        """Orders that may still trade, in flight and unknown ones included, at their worst case."""
        with self._post.door:
            account = self._post.account
            return account.working() if symbol is None else account.open_orders(self._post.symbol(symbol))

    def position(self, symbol: str, position_side: PositionSide = PositionSide.BOTH) -> Position:
        """The position by the fills that are known; flat when there is none."""
        with self._post.door:
            return self._post.account.position(self._post.symbol(symbol), position_side)

    def trades_since_ns(self, symbol: str) -> int:
        """The time from which on to ask the venue for trades: of the latest fill, or when the books began; 0 before."""
        with self._post.door:
            return max(self._post.last_fill_ns.get(self._post.symbol(symbol), 0), self._post.began_ns)

    def status(self) -> GatekeeperStatus:
        """How it stands now."""
        post = self._post
        with post.door:
            post.tick()
            working, path = post.account.working(), post.executor.path
            outcomes = post.executor.tally.outcomes
            faults = {symbol: post.market.fault(symbol) for symbol in sorted(post.instruments)}
            return GatekeeperStatus(
                trading_state=path.trading_state,
                symbols=dict(path.symbol_states),
                blocked_by=path.unavailable or ("" if post.account.known else "ACCOUNT_UNKNOWN"),
                market={symbol: fault for symbol, fault in faults.items() if fault},
                in_flight=post.account.unanswered,
                unknown=sum(map(post.doubtful, working)),
                open=len(working),
                allowed=outcomes["allowed"],
                blocked=outcomes["blocked"],
                dropped=outcomes["dropped"],
                records_error=post.parts.recorder.error,
                reopen=post.reopen,
                plugins={name: said for name, said in self._loaded.host.health().items() if said},
            )

    def close(self) -> None:
        """Write what is left, stop the plugins, and give the data directory back.

        A second call does nothing; one that another thread makes meanwhile waits until all is done.

        After a call that was interrupted it writes what that call left; a close that was interrupted is called again.

        Raises:
            StateError: something could not be written; the directory is given back all the same.
        """
        post = self._post
        with contextlib.suppress(ClosedError), post.door:
            post.begin()
            try:
                with post.closing:
                    self._finish()
            finally:
                post.executor.journal.close()
                post.door.closed = True

    def __enter__(self) -> Self:
        """The gatekeeper itself; it is closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _aimed(self, order: Any) -> Any:
        """The same order, its target named by intent id."""
        if not isinstance(order, OrderIntent) or order.kind is IntentKind.PLACE or not isinstance(order.target, str):
            return order
        target = self._post.account.by_client(order.target)
        return order if target is None else msgspec.structs.replace(order, target=target.intent_id)

    def _trade(self, state: TradingState, reason: str) -> None:
        post = self._post
        with post.door:
            post.tick()
            reason = text("reason", reason, empty=False)
            post.begin()
            post.executor.path.trading_state = state
            post.executor.settlement.save_states()
            post.executor.journal.put_state("trading_reason", reason)
            post.log.warning("TRADING_STATE", state=state.value, reason=reason)
            post.settle()

    def _finish(self) -> None:
        with contextlib.suppress(CallError):  # a clock that says no time keeps nobody from closing
            self._post.tick()
        self._post.parts.markouts.close()
        self._post.parts.recorder.close()
        self._summarise()

    def _summarise(self) -> None:
        post, parts = self._post, self._post.parts
        now = post.market.now_ns
        summarise(
            run_facts(self._loaded, parts, now, self._seed),
            executor=post.executor,
            gating=parts.gating,
            market=post.market,
            instruments=post.instruments,
            reasons=self._loaded.reasons,
            wall_s=(measure_ns() - self._began) / 1e9,
            covered_ns=(post.first_ns, now),
        ).write(self.out)
