"""The loop: market events in, strategy asked in time, orders out, everything on the injected clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from grinder.clock import ManualClock, measure_ns
from grinder.engine.arithmetic import plain_arithmetic
from grinder.engine.executor import Executor
from grinder.engine.faces import RuntimeFace
from grinder.engine.marking import Marking
from grinder.engine.runtime import Runtime
from grinder.engine.sampler import Sampler
from grinder.engine.watchdog import Watchdog
from grinder.exchange import Simulated
from grinder.market.state import MarketState
from grinder.types import AccountView, MarketEvent, OrderIntent, Strategy, TradingState

NEVER: Final = 1 << 62
BATCH: Final = 512
"""Events between two looks at signals, the server and the watchdog."""
FLUSH_NS: Final = 1_000_000_000
"""Wall time between two hand-overs of records to the operating system, in a paced run."""
SILENCE_NS: Final = 60_000_000_000
"""After a silence of all symbols longer than this the strategy is asked again when the market speaks again."""


class Loop:
    """Drives one replay or synthetic run.

    Args:
        symbols: those that the strategy is asked about, in this order.
        duration_ns: event time after which to end; 0 for the end of the feed.
        pace: 0 goes as fast as it can, 1 in real time.
        skip_to_ns: events up to this time only rebuild the market (they were traded by an earlier process).
        progress: called about four times a second with (event time, events).
    """

    def __init__(
        self,
        *,
        feed: Iterable[MarketEvent],
        market: MarketState,
        clock: ManualClock,
        executor: Executor,
        strategy: Strategy,
        account: AccountView,
        runtime: Runtime,
        marking: Marking,
        sampler: Sampler,
        watchdog: Watchdog,
        symbols: Sequence[str],
        duration_ns: int = 0,
        skip_to_ns: int = 0,
        pace: float = 0.0,
        progress: Callable[[int, int], None] | None = None,
        log: Callable[..., None],
    ) -> None:
        self._feed = feed
        self._market = market
        self._clock = clock
        self._executor = executor
        self._strategy = strategy
        self._account = account
        self._runtime = runtime
        self._runtime_face = RuntimeFace(runtime)
        self._marking = marking
        self._sampler = sampler
        self.watchdog = watchdog
        self._symbols = tuple(symbols)
        self._duration = duration_ns
        self._skip_to = skip_to_ns
        self._pace = pace
        self._progress = progress
        self._log = log
        self._simulators = tuple(
            venue.exchange for venue in executor.settlement.venues if isinstance(venue.exchange, Simulated)
        )
        self._wake_at = NEVER
        self._origin = 0, 0
        self._flush_at = 0
        self._due = 0
        self._trading = False
        self._until = NEVER
        self.stopping = False
        self.stopped_by = 0
        self.first_ns = 0
        self.last_ns = 0

    def stop(self, number: int = 0) -> None:
        """End at the next opportunity, with everything flushed; ``number`` is the signal that asked for it."""
        self.stopping = True
        self.stopped_by = number

    async def run(self) -> None:
        """Process the feed to its end, its duration, or a stop."""
        shown = measure_ns()
        batch = BATCH if self._pace <= 0 else 1
        every_event = self._strategy.wake_ns <= 0
        market, clock, simulators = self._market, self._clock, self._simulators
        apply, clock_set = market.apply, clock.set
        for count, event in enumerate(self._feed, 1):
            now = event.local_ns
            if now >= self._due and not await self._reach(now):
                break
            clock_set(now)
            market.now_ns = now
            apply(event)
            if self._trading:
                for simulator in simulators:
                    simulator.on_market(event)
                    if simulator.due_ns < self._due:  # noqa: PLR1730 - min() would cost a call per event
                        self._due = simulator.due_ns
                if every_event and (intents := self._consult(event.symbol, now)):
                    await self._propose(intents, now)
            elif every_event:
                self._marking.repeat(now)
            if not count % batch:
                self.watchdog.beat()
                shown = self._show(now, count, shown)
                await self._breathe(now)
                if self.stopping:
                    break
        self.last_ns = clock.now_ns()
        await self._executor.collect()
        self._executor.save_progress()
        await self._executor.commit()
        self._sampler.finish(self.last_ns)

    async def _reach(self, now: int) -> bool:
        """Let everything due up to ``now`` happen, in the order of its time. False when the run is over."""
        if not self.first_ns:
            self._begin(now)
        if now - self._market.now_ns > SILENCE_NS and self._wake_at < now:
            self._wake_at = now  # nobody is asked what to do about a market that says nothing for so long
        if not self._trading:
            self._repeat_wakes(now)
            if now <= self._skip_to:
                self._due = min(self._wake_at, self._skip_to + 1)
                return True
            self._begin_trading(now)
        happened = 0
        while (due := self._next()) <= now and due < self._until and not self.stopping:
            await self._happen(max(due, self._clock.now_ns()))
            happened += 1
            if not happened % BATCH:
                self.watchdog.beat()
                await asyncio.sleep(0)
        self._due = min(due, self._until)
        return now < self._until

    def _next(self) -> int:
        """When the next thing is due that is not a market event."""
        simulated = min((simulator.due_ns for simulator in self._simulators), default=NEVER)
        return min(simulated, self._wake_at, self._executor.settlement.doubts.due_ns, self._sampler.due_ns)

    async def _happen(self, due: int) -> None:
        """Let one due time come: answers of exchanges, then queries, then the strategy; then it is looked at."""
        self._clock.set(due)
        self._market.now_ns = due
        arrived = False
        for simulator in self._simulators:
            if simulator.due_ns <= due:
                simulator.advance(due)
                arrived = True
        if arrived:
            await self._executor.collect()
        if self._executor.settlement.doubts.due_ns <= due:
            self._executor.settlement.ask(due)
        if self._wake_at <= due:
            self._wake_at += self._strategy.wake_ns
            for symbol in self._symbols:
                await self._propose(self._consult(symbol, due), due)
        if self._sampler.due_ns <= due:
            self._sampler.take(due)

    def _begin(self, now: int) -> None:
        """The first event: the intervals of the strategy count from it, whatever part of the feed is skipped."""
        self.first_ns = now
        self._until = now + self._duration if self._duration else NEVER
        if self._strategy.wake_ns > 0:
            self._wake_at = now + self._strategy.wake_ns

    def _repeat_wakes(self, now: int) -> None:
        """Wakes up to ``now`` were an earlier process's: prices are looked at, and the strategy is not asked."""
        while (due := self._wake_at) <= now:
            self._wake_at += self._strategy.wake_ns
            self._marking.repeat(due)

    def _begin_trading(self, now: int) -> None:
        """The first event that is traded: ask the venues for their state, then the strategy at its interval."""
        self._trading = True
        self._origin = now, measure_ns()
        self._marking.recall(now)
        self._clock.set(now)
        self._runtime.started_ns = now
        self._executor.greet()
        self._sampler.begin(self.first_ns, now)

    def _consult(self, symbol: str, now: int) -> Sequence[OrderIntent]:
        """What the strategy proposes for one symbol; nothing before the venues have stated their balances."""
        if now >= self._marking.due_ns:
            self._marking.look(now)
        if not self._executor.settlement.ready:
            return ()
        try:
            intents = self._strategy.on_market(self._market.face(symbol), self._account, self._runtime_face, now)
        except Exception as error:  # noqa: BLE001 - a strategy is a plugin; its fault must not stop cancels
            self._fault(symbol, error)
            intents = ()
        plain_arithmetic()
        return intents

    async def _propose(self, intents: Sequence[OrderIntent], now: int) -> None:
        if intents:
            self.watchdog.beat()
            await self._executor.propose(intents, now)
            for simulator in self._simulators:
                self._due = min(self._due, simulator.due_ns)

    def _fault(self, symbol: str, error: Exception) -> None:
        executor = self._executor
        executor.tally.strategy_errors += 1
        if executor.path.trading_state is TradingState.ACTIVE:
            executor.path.trading_state = TradingState.REDUCE_ONLY
            executor.settlement.save_states()
            text = f"{type(error).__name__}: {error}"
            self._log("STRATEGY_FAULT", symbol=symbol, error=text, trading_state="REDUCE_ONLY")

    def _show(self, now: int, count: int, shown: int) -> int:
        if self._progress is None:
            return shown
        tick = measure_ns()
        if tick - shown < 250_000_000:
            return shown
        self._progress(now, count)
        return tick

    async def _breathe(self, now: int) -> None:
        """Give signals and the server a turn; in real time, wait until the event's time has come."""
        delay = 0.0
        if self._pace > 0 and self._trading:  # what was traded before is caught up with
            event_ns, tick = self._origin
            delay = ((now - event_ns) / self._pace - (measure_ns() - tick)) / 1e9
            self._hand_over()
        while delay > 0.2 and not self.stopping:
            await asyncio.sleep(0.2)
            self.watchdog.beat()
            self._hand_over()
            delay -= 0.2
        await asyncio.sleep(max(delay, 0.0))

    def _hand_over(self) -> None:
        """From time to time, let others read what has been recorded."""
        tick = measure_ns()
        if tick >= self._flush_at:
            self._flush_at = tick + FLUSH_NS
            self._executor.recorder.flush()
            self._marking.flush()
