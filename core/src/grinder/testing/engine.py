"""The whole engine on a scripted market, a scripted strategy and a fake exchange: for what one call cannot show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final, TypeAlias, cast

import msgspec

from grinder.decisions import Decision
from grinder.engine.options import RunOptions
from grinder.engine.plugins import Loaded, PolicySet
from grinder.engine.session import Session
from grinder.evidence.summary import Summary
from grinder.host.discovery import PLUGINS, POLICIES, SHIPPED, STRATEGIES, discover
from grinder.host.loading import load_extension
from grinder.host.manager import Host
from grinder.instruments import Instrument
from grinder.reasons import ReasonRegistry
from grinder.settings.model import HostSettings, Settings, compose
from grinder.settings.plugin import PluginSettings, Section
from grinder.settings.sources import Sources
from grinder.testing.decisions import DecisionRecorder
from grinder.testing.events import NOW, book_snapshot, mark_price
from grinder.testing.exchange import FakeExchange
from grinder.testing.orders import instrument
from grinder.types import AccountView, MarketEvent, MarketView, OrderIntent, RuntimeView

SECOND: Final = 1_000_000_000
SCRIPT: Final = "scripted"

Step: TypeAlias = Callable[[int, MarketView, AccountView], Sequence[OrderIntent] | None]


class EngineRun(msgspec.Struct, frozen=True):
    """What a run left behind.

    Attributes:
        decisions: every decision, in order.
        exchange: the exchange, with what it was sent.
        summary: the run's summary.
        exit_code: 0, or 1 when the order path met an error.
    """

    decisions: DecisionRecorder
    exchange: FakeExchange
    summary: Summary
    exit_code: int


class _Script:
    """A strategy that calls a function once a second of event time, counting from 1."""

    wake_ns = SECOND

    def __init__(self, step: Step) -> None:
        self._step = step
        self._second = 0

    def on_market(
        self,
        market: MarketView,
        account: AccountView,
        runtime: RuntimeView,  # noqa: ARG002 - the protocol
        now: int,  # noqa: ARG002
    ) -> Sequence[OrderIntent]:
        """What the function proposes."""
        self._second += 1
        return self._step(self._second, market, account) or ()


class _Events:
    """A feed of given events."""

    inputs = ()
    skipped: Mapping[str, int] = MappingProxyType({})
    ignored: Mapping[str, int] = MappingProxyType({})

    def __init__(self, events: Sequence[MarketEvent], instruments: Mapping[str, Instrument]) -> None:
        self._events = events
        self.symbols = tuple(sorted({event.symbol for event in events}))
        self.instruments = {name: instruments.get(name) or instrument(name) for name in self.symbols}
        self.markets = dict.fromkeys(self.symbols, "test")
        self.first_ns, self.last_ns = events[0].local_ns, events[-1].local_ns

    def __iter__(self) -> Iterator[MarketEvent]:
        return iter(self._events)

    def close(self) -> None:
        """Nothing is open."""


class _Observed(Session):
    """A session that also tells of each decision."""

    def __init__(self, options: RunOptions, loaded: Loaded, feed: _Events, tell: DecisionRecorder) -> None:
        super().__init__(options, loaded, feed)
        self._tell = tell

    def _build(self) -> None:
        super()._build()
        follow = self._executor.on_decision

        def both(decision: Decision) -> None:
            self._tell(decision)
            if follow is not None:
                follow(decision)

        self._executor.on_decision = both


class _Unset(Section):
    """The fake exchange has no settings."""


def run_engine(
    step: Step,
    *,
    exchange: FakeExchange | None = None,
    events: Iterable[MarketEvent] | None = None,
    seconds: int = 10,
    settings: Mapping[str, Any] | None = None,
    instruments: Iterable[Instrument] = (),
    out: Path | None = None,
) -> EngineRun:
    """Run the real engine: intents from ``step``, through the gates that settings enable, to a fake exchange.

    Args:
        step: called once a second of event time, with the number of the second, for each symbol; returns intents.
        exchange: by default one that accepts everything.
        events: market events in local time order; by default a book of BTCUSDT, then its mark price every 100 ms.
        seconds: length of the default events.
        settings: dotted keys to values, as for ``--set``; no gate is on unless it is enabled here.
        instruments: venue rules that differ from those of ``instrument()``.
        out: folder for the evidence; by default it is thrown away.

    Raises:
        ValueError: there are no events.
        ConfigError: a setting is wrong, or what it enables is not installed; grinder-policies is needed.
    """
    given = list(events) if events is not None else list(_quiet(seconds))
    if not given:
        raise ValueError("events is empty: a run needs at least one market event")
    exchange = FakeExchange() if exchange is None else exchange
    feed = _Events(given, {each.symbol: each for each in instruments})
    recorder = DecisionRecorder()
    with TemporaryDirectory(prefix="grinder-testing-") as folder:
        options = RunOptions(out=Path(folder) / "run" if out is None else out, overrides=_overrides(settings or {}))
        sources = Sources.load(overrides=options.overrides, environ={})  # a test must not depend on the machine's
        session = _Observed(options, _loaded(sources, step, exchange), feed, recorder)
        summary = session.run()
    return EngineRun(recorder, exchange, summary, session.exit_code)


def _quiet(seconds: int) -> Iterator[MarketEvent]:
    yield book_snapshot()
    for now in range(NOW, NOW + seconds * SECOND + 1, SECOND // 10):
        yield mark_price(now_ns=now)


def _overrides(settings: Mapping[str, Any]) -> tuple[str, ...]:
    off = {f"plugins.{name}.enabled": False for name in sorted(SHIPPED)}  # whatever the profile switches on
    values = {**off, "gates.order": "[]", "strategy": SCRIPT, **settings}
    return tuple(f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in values.items())


def _loaded(sources: Sources, step: Step, exchange: FakeExchange) -> Loaded:
    """As the engine loads, with the script for a strategy and the fake for an exchange."""
    host_settings = sources.part("host", HostSettings)
    records = discover(PLUGINS, plugins_dir=host_settings.plugins_dir)
    others = {record.name for record in discover(STRATEGIES)} | {SCRIPT}
    installed = {record.name for record in records} | others | SHIPPED
    reasons = ReasonRegistry()
    enabled = [name for name in sources.enabled_plugins() if name not in others]
    host = Host.load(records, enabled, reasons=reasons)
    model: type[Settings] = compose({**host.models(), SCRIPT: PluginSettings}, {"paper": _Unset}, installed)
    settings = sources.settings(model)
    host.bind({name: settings.plugins.get(name) for name in host.models()})
    names = settings.policies
    policies = [load_extension(POLICIES, name) for name in (names.admission, names.sizing, names.routing)]
    return Loaded(
        settings,
        host,
        reasons,
        PolicySet(policies[0], policies[1], policies[2], settings),
        (),
        cast("Any", SimpleNamespace(create=lambda *_: _Script(step))),
        {"paper": cast("Any", SimpleNamespace(create=lambda _: exchange))},
    )
