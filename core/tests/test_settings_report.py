from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr

from grinder.decisions import Mode
from grinder.settings.model import Settings, compose
from grinder.settings.plugin import GateSettings, Section
from grinder.settings.report import fingerprint, flatten


class Spread(GateSettings):
    max_bps: Decimal = Field(default=Decimal(5), description="Widest spread.")
    calm: frozenset[str] = Field(default=frozenset(), description="Symbols that are calm.")
    model: Path | None = Field(default=None, description="Model.")
    listen_port: int = Field(default=1, description="Port.")


class Venue(Section):
    api_key: SecretStr | None = Field(default=None, description="Key.")
    url: str = Field(default="a", description="Address.")


MODEL = compose({"spread": Spread}, {"paper": Venue, "binance": Venue})


def settings(**values: Any) -> Settings:
    values.setdefault("plugins", {"spread": {"enabled": True}})
    return MODEL.model_validate(values)


def test_flatten_tells_every_value_under_its_key():
    rows = {row.key: row.shown for row in flatten(settings(symbols=["A"], log={"json": True}))}
    assert rows["symbols"] == ["A"]
    assert rows["log.json"] is True
    assert rows["host.plugins_dir"] is None
    assert rows["plugins.spread.mode"] == Mode.SHADOW
    assert rows["plugins.spread.breaker.fault.probes"] == 3
    assert rows["sizing.notional_cap_usd"] == "20000"
    assert rows["exchanges.binance.api_key"] is None


def test_of_what_is_not_loaded_only_enabled_is_told():
    model = compose({}, {}, ("near_liq",))
    found = model.model_validate({"plugins": {"near_liq": {"enabled": True, "token": "x"}, "zzz": {"enabled": False}}})
    rows = {row.key: row.shown for row in flatten(found) if row.path[0] == "plugins"}
    assert rows == {"plugins.near_liq.enabled": True, "plugins.zzz.enabled": False}


@pytest.mark.parametrize(
    "change",
    [
        {"strategy": "other"},
        {"profile": "testnet"},
        {"symbols": ["B", "A"]},
        {"rollout": {"rng_seed": 1338}},
        {"plugins": {"spread": {"enabled": True, "max_bps": 6}}},
        {"plugins": {"spread": {"enabled": True, "mode": "enforce"}}},
        {"plugins": {"spread": {"enabled": True, "calm": ["A"]}}},
        {"plugins": {"spread": {"enabled": False}}},
        {"exchanges": {"paper": {"url": "b"}}},
        {"exchange": {"venue": "binance"}, "exchanges": {"binance": {"url": "b"}}},
    ],
)
def test_what_changes_a_run_changes_the_fingerprint(change: dict[str, Any]):
    assert fingerprint(settings(symbols=["A", "B"])) != fingerprint(settings(**{"symbols": ["A", "B"], **change}))


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": {"port": 9091}},
        {"host": {"plugins_dir": "/somewhere"}},
        {"plugins": {"spread": {"enabled": True, "model": "/somewhere", "listen_port": 2}}},
        {"exchanges": {"paper": {"api_key": "x"}}},
        {"exchanges": {"binance": {"url": "b"}}},
        {"sizing": {"notional_cap_usd": "20000.00", "leverage": 10.0}},
    ],
)
def test_secrets_paths_ports_and_what_is_not_used_do_not(change: dict[str, Any]):
    assert fingerprint(settings()) == fingerprint(settings(**change))


def test_disabled_plugins_do_not_count():
    other = compose({"another": Spread, "spread": Spread}, {"paper": Venue}, ("third",)).model_validate(
        {"plugins": {"spread": {"enabled": True}, "another": {"max_bps": 7}, "fourth": {"enabled": False}}}
    )
    plain = compose({"spread": Spread}, {"paper": Venue}).model_validate({"plugins": {"spread": {"enabled": True}}})
    assert fingerprint(other) == fingerprint(plain)


def test_the_fingerprint_is_the_same_in_every_process():
    code = (
        "from grinder.settings.model import compose; from grinder.settings.report import fingerprint;"
        "from grinder.settings.plugin import GateSettings; from pydantic import Field\n"
        "class Spread(GateSettings):\n"
        "    calm: frozenset[str] = Field(default=frozenset('ABCDEFGH'), description='x')\n"
        "print(fingerprint(compose({'spread': Spread}, {}).model_validate({'plugins': {'spread': {'enabled': True}}})))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(seen) == 1
    assert len(seen.pop().strip()) == 64
