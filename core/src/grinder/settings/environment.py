"""Environment variables: ``GRINDER_A__B`` sets ``a.b``, and the variables that operators know have names of their own.

A known variable whose reader is not enabled is no error. Any other ``GRINDER_*`` variable that sets nothing is one,
except those that container platforms inject for a service called grinder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Final

import msgspec

from grinder.errors import ConfigError
from grinder.settings.decode import BOOLEAN, boolean
from grinder.settings.origin import Layer, Leaf, Origin, Text, Tree, insert

PREFIX: Final = "GRINDER_"

_INJECTED: Final = re.compile(
    r"GRINDER_(([A-Z0-9_]+_)?SERVICE_(HOST|PORT(_\w+)?)|PORT(_\w+)?"
    r"|[A-Z0-9_]+_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SEGMENT: Final = re.compile(r"[A-Z0-9]+(_[A-Z0-9]+)*")


def _as_is(value: str) -> str:
    return value


def _mode(value: str) -> str:
    return "enforce" if boolean(value) else "shadow"


def _symbols(value: str) -> str:
    return value.upper()


class Named(msgspec.Struct, frozen=True):
    """A variable with a name of its own. ``path`` is empty where no setting stands behind it; ``reader`` reads it."""

    path: str = ""
    reader: str = "core"
    flag: bool = False
    convert: Callable[[str], str] = _as_is


def _fill_prob(key: str = "", flag: bool = False, convert: Callable[[str], str] = _as_is) -> Named:
    return Named(f"plugins.fill_prob.{key}" if key else "", "plugin fill_prob", flag, convert)


def _remediation(key: str = "") -> Named:
    return Named(f"plugins.remediation.{key}" if key else "", "plugin remediation")


def _known(reader: str, *, flag: bool = False) -> Named:
    return Named(reader=reader, flag=flag)


_OPERATIONS: Final = (
    "PLACE", "CANCEL", "CANCEL_ALL", "OPEN_ORDERS", "POSITIONS", "ACCOUNT", "EXCHANGE_INFO", "PING", "TRADES",
)  # fmt: skip

NAMED: Final[Mapping[str, Named]] = {
    # Fill probability
    "GRINDER_FILL_MODEL_ENFORCE": _fill_prob("mode", flag=True, convert=_mode),
    "GRINDER_FILL_PROB_MIN_BPS": _fill_prob("min_bps"),
    "GRINDER_FILL_MODEL_DIR": _fill_prob("model_dir"),
    "GRINDER_FILL_PROB_EVAL_DIR": _fill_prob("eval_dir"),
    "GRINDER_FILL_PROB_AUTO_THRESHOLD": _fill_prob("auto_threshold", flag=True),
    "GRINDER_FILL_PROB_EVAL_MAX_AGE_HOURS": _fill_prob("eval_max_age_hours"),
    "GRINDER_FILL_PROB_CB_WINDOW_SECONDS": _fill_prob("breaker.verdict.window_s"),
    "GRINDER_FILL_PROB_CB_MAX_BLOCK_RATE_PCT": _fill_prob("breaker.verdict.max_block_pct"),
    "GRINDER_ARTIFACT_DIR": _fill_prob("artifact_dir"),
    "GRINDER_FILL_PROB_ENFORCE_SYMBOLS": _fill_prob("symbols", convert=_symbols),
    "GRINDER_FILL_PROB_EVIDENCE": _fill_prob("evidence", flag=True),
    "GRINDER_FILL_MODEL_ENABLED": _fill_prob(flag=True),
    # Remediation and its budgets
    "REMEDIATION_MODE": _remediation("remediation_mode"),
    "REMEDIATION_STRATEGY_ALLOWLIST": _remediation("remediation_strategy_allowlist"),
    "REMEDIATION_SYMBOL_ALLOWLIST": _remediation("remediation_symbol_allowlist"),
    "MAX_CALLS_PER_DAY": _remediation("max_calls_per_day"),
    "MAX_CALLS_PER_RUN": _remediation("max_calls_per_run"),
    "MAX_NOTIONAL_PER_DAY": _remediation("max_notional_per_day"),
    "MAX_NOTIONAL_PER_RUN": _remediation("max_notional_per_run"),
    "FLATTEN_MAX_NOTIONAL_PER_CALL": _remediation("flatten_max_notional_per_call"),
    "BUDGET_STATE_PATH": _remediation("budget_state_path"),
    "BUDGET_STATE_STALE_HOURS": _remediation(),
    # Reconciliation, its audit and artifacts
    "RECONCILE_ENABLED": _known("reconciliation", flag=True),
    "RECONCILE_INTERVAL_MS": _known("reconciliation"),
    "GRINDER_AUDIT_ENABLED": _known("reconciliation", flag=True),
    "GRINDER_AUDIT_PATH": _known("reconciliation"),
    "GRINDER_ARTIFACTS_DIR": _known("reconciliation"),
    "GRINDER_ARTIFACT_TTL_DAYS": _known("reconciliation"),
    "ALLOW_LEGACY_ORDER_ID": _known("reconciliation", flag=True),
    "FILL_INGEST_ENABLED": _known("fill ingestion", flag=True),
    "FILL_CURSOR_PATH": _known("fill ingestion"),
    # Real venues
    "EXCHANGE_MODE": Named("exchange.mode"),
    "EXCHANGE_VENUE": Named("exchange.venue"),
    "BINANCE_API_KEY": Named("exchanges.binance.api_key", "exchange binance"),
    "BINANCE_API_SECRET": Named("exchanges.binance.api_secret", "exchange binance"),
    "BYBIT_API_KEY": Named("exchanges.bybit.api_key", "exchange bybit"),
    "BYBIT_API_SECRET": Named("exchanges.bybit.api_secret", "exchange bybit"),
    "ALLOW_MAINNET_TRADE": _known("real exchanges, when they are about to write"),
    "LATENCY_RETRY_ENABLED": _known("real exchanges", flag=True),
    "HTTP_MAX_ATTEMPTS_READ": _known("real exchanges"),
    "HTTP_MAX_ATTEMPTS_WRITE": _known("real exchanges"),
    **{f"HTTP_DEADLINE_{operation}_MS": _known("real exchanges") for operation in _OPERATIONS},
    # Loss streaks
    "GRINDER_CONSEC_LOSS_ENABLED": _known("plugin consec_loss", flag=True),
    "GRINDER_CONSEC_LOSS_THRESHOLD": _known("plugin consec_loss"),
    "GRINDER_CONSEC_LOSS_STATE_PATH": _known("plugin consec_loss"),
    "GRINDER_CONSEC_LOSS_EVIDENCE": _known("plugin consec_loss", flag=True),
    # Several processes
    "GRINDER_HA_ENABLED": _known("leader election", flag=True),
    "GRINDER_HA_LOCK_TTL_MS": _known("leader election"),
    "GRINDER_HA_RENEW_INTERVAL_MS": _known("leader election"),
    "GRINDER_REDIS_URL": _known("leader election"),
    "REDIS_URL": _known("separate roles"),
    "MODEL_REGISTRY_ROOT": _known("the model registry"),
    "GRINDER_TRACE": _known("core: 1 prints every hook call", flag=True),
    "APP_CONFIG": _known("grinder config import"),
    "DRY_RUN_MAX_ITER": _known("dry runs of separate roles"),
    "DRY_RUN_FORCE_LOSSES": _known("dry runs of separate roles"),
}
"""Every variable that has a name of its own."""


def env_name(path: str) -> str:
    """The variable that sets a key: ``GRINDER_GATES__ORDER`` for ``gates.order``."""
    return PREFIX + path.replace(".", "__").upper()


def variables(environ: Mapping[str, str], keys: Collection[str]) -> Layer:
    """The layer of ``GRINDER_A__B`` variables.

    Args:
        environ: the environment.
        keys: core's keys; their first parts are the groups that a variable can set something in.

    Raises:
        ConfigError: a ``GRINDER_*`` variable is unknown.
    """
    tree: Tree = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in NAMED or _injected(name, environ[name]):
            continue
        insert(tree, path_of(name, keys), Leaf(Text(environ[name]), Origin("environment", name)))
    return Layer(tree)


def named(environ: Mapping[str, str]) -> Layer:
    """The layer of the variables with names of their own; an empty one counts as not set.

    Raises:
        ConfigError: a flag is not a boolean.
    """
    tree: Tree = {}
    for name in NAMED.keys() & environ.keys():
        insert_named(tree, name, environ[name], Origin("environment", name))
    return Layer(tree, lenient=True)


def insert_named(tree: Tree, name: str, value: str, origin: Origin) -> None:
    """Put the value of a variable with a name of its own where it belongs.

    Raises:
        ConfigError: a flag is not a boolean, whether or not its reader is enabled.
    """
    meaning = NAMED[name]
    if meaning.flag and boolean(value) is None:
        raise ConfigError(f"{origin}: {BOOLEAN}")
    if meaning.path and value:
        insert(tree, meaning.path.split("."), Leaf(Text(meaning.convert(value)), origin))


def path_of(name: str, keys: Collection[str]) -> list[str]:
    """The path that a ``GRINDER_A__B`` variable sets.

    Raises:
        ConfigError: it is none; the message has the nearest name.
    """
    groups = {key.partition(".")[0] for key in keys}
    segments = name.removeprefix(PREFIX).split("__")
    if all(_SEGMENT.fullmatch(segment) for segment in segments) and segments[0].lower() in groups:
        return [segment.lower() for segment in segments]
    raise ConfigError(f"unknown environment variable {name}{_nearest(name, groups, keys)}")


def _injected(name: str, value: str) -> bool:
    """Whether Kubernetes or Docker made it, for a service called grinder or grinder-something."""
    linked = name.endswith("_PORT") and "://" in value
    return "__" not in name and (linked or _INJECTED.fullmatch(name) is not None)


def _nearest(name: str, groups: Collection[str], keys: Collection[str]) -> str:
    head, _, rest = name.upper().removeprefix(PREFIX).partition("__")
    near = get_close_matches(head.lower(), sorted(groups), n=1)
    if near and rest:
        meant = env_name(f"{near[0]}.{rest.strip('_')}")
        return f"; did you mean {meant}?"
    known = [*(each for each in NAMED if each.startswith(PREFIX)), *map(env_name, keys)]
    near = get_close_matches(name.upper(), sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else "; variables of settings look like GRINDER_GATES__ORDER"
