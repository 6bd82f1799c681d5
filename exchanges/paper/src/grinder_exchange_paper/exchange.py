"""The face of the paper exchange: messages under way in both directions, and the times at which they arrive."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from grinder import Admitted, Clock, ExchangeContext, IntentKind, MarketEvent, MarkPrice, StateError, Update
from grinder_exchange_paper import desk
from grinder_exchange_paper.clearing import NEVER, SAMPLE_NS, Clearing
from grinder_exchange_paper.desk import Message, Query, SnapshotRequest
from grinder_exchange_paper.log import VenueLog
from grinder_exchange_paper.matching import Matcher
from grinder_exchange_paper.settings import Settings
from grinder_exchange_paper.state import State
from grinder_exchange_paper.venue import NAME, Venue

LOG_NAME: Final = "paper.jsonl"


class PaperExchange:
    """A simulated venue that fills orders from the market data of the run.

    ``advance`` lets messages arrive and funding fall due, and ``on_market`` lets the market fill what rests; what comes
    of it is written to the log first and becomes visible in ``poll`` after the response latency. What was under way
    when the process ended is lost, as on a broken connection; orders, fills and balance are in the log.

    Args:
        settings: the venue's settings.

    Attributes:
        due_ns: when the next message arrives at either end or funding falls due; ``1 << 62`` when nothing does.
    """

    __slots__ = (
        "_clearing",
        "_clock",
        "_inbox",
        "_log",
        "_look_ns",
        "_matchers",
        "_outbox",
        "_said",
        "_settings",
        "_started",
        "_venue",
        "due_ns",
    )

    venue: str = NAME
    account: str = NAME

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._inbox: deque[tuple[int, Message]] = deque()
        self._outbox: deque[tuple[int, Update]] = deque()
        self._matchers: dict[str, Matcher] = {}
        self._said: list[tuple[int, Update]] = []
        self._look_ns = 0
        self._started = False
        self.due_ns = NEVER

    def start(self, context: ExchangeContext) -> None:
        """Open the log and, with ``context.resume``, let what it holds happen again.

        Raises:
            ConfigError: the position mode contradicts the program's.
            StateError: a log exists and ``resume`` is False, or it is missing, corrupt or cannot be opened.
        """
        mode = self._settings.mode(context.hedge)
        self._clock: Clock = context.clock
        log = context.data_dir / LOG_NAME
        if context.traded and not log.exists():
            raise StateError(
                f"{log} is missing, though orders were placed: the venue would know nothing of them. Put it back, or "
                "start afresh without --resume"
            )
        self._log = VenueLog(log, resume=context.resume)
        try:
            self._venue = Venue(self._settings, context, self._log, mode)
            self._clearing = Clearing(self._settings, self._venue)
            self._venue.state.commit()
            self._log.flush()
        except StateError:
            self._log.close()
            raise
        self._matchers, self._said = self._venue.matchers, self._venue.said
        self._started = True

    @property
    def state(self) -> State:
        """The venue's own account and orders; they run ahead of what ``poll`` has told."""
        return self._venue.state

    @property
    def torn_bytes(self) -> int:
        """Bytes of a line that a crash had torn, cut off at the start."""
        return self._log.torn_bytes

    def submit(self, order: Admitted) -> None:
        """Send a message; it arrives after the entry latency. Placements are noted in the log at once."""
        now = self._clock.now_ns()
        if order.intent.kind is IntentKind.PLACE:
            if order.intent.symbol in self._venue.instruments:
                self._venue.matcher(order.intent.symbol)  # from now on its market is watched
            self._venue.state.send(order.client_id, now)
            self._log.flush()
        self._post(now, order)

    def query(self, symbol: str, client_id: str) -> None:
        """Ask about one order; ``Found`` or ``NotFound`` comes from ``poll`` after both latencies."""
        self._post(self._clock.now_ns(), Query(symbol, client_id))

    def request_snapshot(self) -> None:
        """Ask for orders, positions and balance; the answer comes from ``poll`` after both latencies."""
        self._post(self._clock.now_ns(), SnapshotRequest())

    def _post(self, now: int, message: Message) -> None:
        arrival = self._venue.courier.outbound(now)
        self._inbox.append((arrival, message))
        self.due_ns = min(self.due_ns, arrival)

    def advance(self, now: int) -> None:
        """Let messages arrive and funding fall due, in the order of their times; a message meets the book as it is."""
        inbox, venue, clearing = self._inbox, self._venue, self._clearing
        while True:
            arrival = inbox[0][0] if inbox else NEVER
            due = min(arrival, clearing.due_ns)
            if due > now:
                break
            venue.now = max(venue.now, due)
            if clearing.due_ns <= arrival:
                clearing.fund(due)
                venue.state.commit()
            else:
                desk.receive(venue, inbox.popleft()[1])
        if self._said:
            self._publish()
        else:
            self._reckon()

    def on_market(self, event: MarketEvent) -> None:
        """Let a market event fill what rests in its symbol."""
        matcher = self._matchers.get(event.symbol)
        if matcher is not None and type(event) is not MarkPrice:
            matcher.on_event(event)
            if event.local_ns >= self._look_ns:
                self._look(event.local_ns)
            if not self._said:
                return
        elif isinstance(event, MarkPrice):
            self._clearing.marked(event)
            self.due_ns = min(self.due_ns, self._clearing.due_ns)
        if self._said:
            self._venue.state.commit()
            self._publish()

    def _look(self, now: int) -> None:
        """From time to time mid prices stand in where the feed has no mark prices."""
        self._look_ns = now + SAMPLE_NS
        self._clearing.sample(now)
        self.due_ns = min(self.due_ns, self._clearing.due_ns)

    def _publish(self) -> None:
        """Make what happened durable, then send it on its way to us."""
        self._log.flush()
        self._outbox.extend(self._said)
        self._said.clear()
        self._reckon()

    def _reckon(self) -> None:
        arrival = self._inbox[0][0] if self._inbox else NEVER
        visible = self._outbox[0][0] if self._outbox else NEVER
        self.due_ns = min(arrival, visible, self._clearing.due_ns)

    def poll(self) -> Sequence[Update]:
        """Updates that have reached us since the last call, in the order in which they did."""
        outbox = self._outbox
        if not outbox or outbox[0][0] > (now := self._clock.now_ns()):
            return ()
        updates: list[Update] = []
        while outbox and outbox[0][0] <= now:
            updates.append(outbox.popleft()[1])
        self._reckon()
        return updates

    def stop(self) -> None:
        """Close the log. What rests stays in it; what is under way is lost."""
        self._matchers = {}
        if self._started:
            self._started = False
            self._log.close()
