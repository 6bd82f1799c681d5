"""Opening a gatekeeper: what the program gave, the journal as it was left, and the parts around it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from grinder.clock import Clock, ManualClock
from grinder.engine.assembly import Assembly
from grinder.engine.outside import Outside
from grinder.engine.plugins import Hosted, PolicySet
from grinder.engine.post import Post
from grinder.engine.recovery import recover
from grinder.engine.state import State, open_instance, take
from grinder.errors import ConfigError
from grinder.host.foreign import describe
from grinder.instruments import TABLE, Instrument
from grinder.journal.identity import instance_tag
from grinder.log import utc
from grinder.types import Route

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

ACCOUNT: Final = "main"
"""Account in the key of every fill; one gatekeeper keeps the books of one account."""


def open_post(
    loaded: Hosted,
    data_dir: Path,
    out: Path,
    *,
    instruments: Mapping[str, Instrument],
    clock: Clock,
    seed: int | None,
    log: FilteringBoundLogger,
) -> Post:
    """Lock and recover the journal, put the parts around it, and start the plugins.

    Raises:
        ConfigError: the directory cannot be made, or a plugin does not start.
        StateError: the directory is in use, damaged, or of something else.
    """
    settings = loaded.settings
    route = Route.FULL if settings.live else Route.PAPER
    venue = settings.exchange.venue
    tag = None if seed is None else instance_tag(seed)
    owner = {"venue": venue, "account": ACCOUNT, "route": route.value}
    with contextlib.ExitStack() as stack:
        stack.callback(take(out, "out").close)
        state = open_instance(data_dir, sync=settings.journal_sync, tag=tag, owner=owner)
        stack.callback(state.journal.close)
        parts = _parts(loaded, state, out, route, instruments=instruments, clock=clock, log=log)
        stack.callback(parts.close)
        executor = parts.connect(Outside(venue, ACCOUNT))
        reached = recover(executor, state, clock)
        if reached > clock.now_ns():
            log.warning("CLOCK_BEHIND", journal=utc(reached), clock=utc(clock.now_ns()))
        parts.start_plugins()
        executor.commit_now()
        return Post(parts, executor, clock, stack.pop_all(), log)
    raise AssertionError  # an exit stack swallows nothing


def _parts(
    loaded: Hosted,
    state: State,
    out: Path,
    route: Route,
    *,
    instruments: Mapping[str, Instrument],
    clock: Clock,
    log: FilteringBoundLogger,
) -> Assembly:
    return Assembly(
        loaded,
        state,
        clock=clock,
        instruments=instruments,
        venue=loaded.settings.exchange.venue,
        route=route,
        live=not isinstance(clock, ManualClock),
        out=out,
        keep=True,
        log=log,
        policies=_OneVenue(loaded.policies, route),
    )


class _OneVenue:
    """The policies of the settings; every order goes to the one venue that the program trades on."""

    def __init__(self, policies: PolicySet, route: Route) -> None:
        self.min_free_balance = policies.min_free_balance
        self.admission = policies.admission
        self.size = policies.size
        self._route = route

    def route(self, intent_id: str) -> Route:  # noqa: ARG002 - rollout to a venue of grinder's own does not apply
        """The one route."""
        return self._route


def log_fault(log: FilteringBoundLogger, plugin: str, hook: str, error: BaseException) -> None:
    """A hook of a plugin failed; it was isolated."""
    log.error("PLUGIN_FAULT", plugin=plugin, hook=hook, error=describe(error))


def check_clock(clock: object, seed: object) -> None:
    """Whether a clock is one, and a seed goes with it.

    Raises:
        ConfigError: they do not fit.
    """
    if clock is not None and not callable(getattr(clock, "now_ns", None)):
        raise ConfigError(f"clock was {type(clock).__name__}, must have now_ns(), as LiveClock and ManualClock do")
    if seed is not None and type(seed) is not int:
        raise ConfigError(f"seed was {seed!r:.60}, must be an int")
    if seed is not None and not isinstance(clock, ManualClock):
        raise ConfigError("seed repeats client ids, which must never happen live: leave it out, or give a ManualClock")


def as_path(name: str, given: object) -> Path:
    """A path.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(given, str | Path) or not str(given):
        raise ConfigError(f"{name} was {given!r:.60}, must be a path")
    return Path(given)


def as_overrides(given: object) -> list[str]:
    """Settings as ``--set`` takes them.

    Raises:
        ConfigError: they are neither a mapping nor a list of texts.
    """
    if isinstance(given, Mapping):
        return [f"{key}={_written(value)}" for key, value in given.items()]
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise ConfigError(f"overrides was {type(given).__name__}, must be a mapping or a list of 'a.b=value'")
    listed = list(given)
    if not all(isinstance(each, str) for each in listed):
        raise ConfigError("overrides: each must be a str such as 'plugins.warm_up.seconds=30'")
    return listed


def _written(value: object) -> str:
    if isinstance(value, list | tuple | dict | bool) or value is None:
        return msgspec.json.encode(value).decode()
    return str(value)


def as_instruments(given: object, symbols: tuple[str, ...]) -> dict[str, Instrument]:
    """What is traded, by symbol.

    Raises:
        ConfigError: something is no instrument, or a symbol of the settings has none.
    """
    if given is None:
        listed: list[object] = list(TABLE.values())
    elif isinstance(given, Mapping):
        listed = list(given.values())
    elif isinstance(given, Iterable) and not isinstance(given, str | bytes):
        listed = list(given)
    else:
        raise ConfigError(f"instruments was {type(given).__name__}, must be Instruments")
    known = {each.symbol: each for each in map(_instrument, listed)}
    missing = [symbol for symbol in symbols if symbol not in known]
    if missing or not known:
        raise ConfigError(f"no instrument is given for {', '.join(missing) or 'anything'}: add it to instruments")
    return {symbol: known[symbol] for symbol in symbols} if symbols else known


def _instrument(given: object) -> Instrument:
    if not isinstance(given, Instrument):
        raise ConfigError(f"instruments: was {type(given).__name__}, must be an Instrument")
    for name, least in (("tick_size", 1), ("lot_size", 1), ("max_qty", 1), ("min_qty", 0), ("min_notional", 0)):
        value = getattr(given, name)
        if type(value) is not Decimal or not value.is_finite() or value < 0 or (least and not value):
            raise ConfigError(f"instruments: {given.symbol}: {name} was {value!r:.60}, must be a positive Decimal")
    return given
