from __future__ import annotations

import typing
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import BaseModel, Field, SecretStr, ValidationError

from grinder.errors import PluginError
from grinder.settings.model import Settings, compose
from grinder.settings.plugin import GateSettings, PluginSettings, Section


class Spread(GateSettings):
    max_bps: float = Field(default=5.0, gt=0, description="Widest spread.")


class Quoter(PluginSettings):
    notional: Decimal = Field(description="Value of each quote; it has no default.")


class Venue(Section):
    api_secret: SecretStr | None = Field(default=None, description="Secret.")


def messages(error: pytest.ExceptionInfo[ValidationError]) -> str:
    return "\n".join(found["msg"] for found in error.value.errors())


def test_defaults_are_those_of_the_documents():
    settings = Settings()
    assert (settings.sizing.leverage, settings.sizing.notional_cap_usd) == (10, 20_000)
    assert (settings.sizing.min_free_balance_usd, settings.sizing.lot_size_rounding) == (200, "floor")
    assert (settings.rollout.mode, settings.rollout.canary_fraction, settings.rollout.rng_seed) == (
        "disabled",
        0.10,
        1337,
    )
    assert (settings.metrics.host, settings.metrics.port) == ("127.0.0.1", 9090)
    assert (settings.engine.visibility_lag_ms, settings.market.stale_ms) == (5000, 5000)
    assert (settings.profile, settings.strategy, settings.symbols) == ("paper", "grid", ())
    assert settings.log.json_lines is False
    assert settings.exchange.reduce_only is True


def test_settings_alone_read_no_environment(monkeypatch: pytest.MonkeyPatch):
    for name in ("STRATEGY", "GRINDER_STRATEGY", "SYMBOLS", "PROFILE", "LOG", "PLUGINS"):
        monkeypatch.setenv(name, '{"level": "debug"}')
    assert Settings() == Settings.model_construct(**dict(Settings()))
    assert Settings().strategy == "grid"


def test_every_field_is_described_closed_and_immutable():
    def walk(model: type[BaseModel]) -> typing.Iterator[tuple[type[BaseModel], str]]:
        for name, field in model.model_fields.items():
            nested = field.annotation
            if isinstance(nested, type) and issubclass(nested, BaseModel):
                yield from walk(nested)
            else:
                yield model, name

    seen = list(walk(Settings))
    assert len(seen) > 30
    for model, name in seen:
        assert model.model_fields[name].description, f"{model.__name__}.{name}"
        assert model.__doc__
        assert model.model_config["frozen"]
        assert model.model_config["extra"] == "forbid"
    with pytest.raises(ValidationError, match="frozen"):
        Settings().sizing.leverage = Decimal(100)


@pytest.mark.parametrize("way", ["round", "ceil"])
def test_rounding_that_inflates_is_refused_with_the_reason(way: str):
    with pytest.raises(ValidationError, match="inflate"):
        Settings.model_validate({"sizing": {"lot_size_rounding": way}})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), "NaN", "-Infinity", "sNaN"])
@pytest.mark.parametrize(("group", "key"), [("sizing", "leverage"), ("engine", "watchdog_s")])
def test_a_number_that_is_none_is_refused(group: str, key: str, number: object):
    with pytest.raises(ValidationError):
        Settings.model_validate({group: {key: number}})


def test_real_mode_needs_a_venue_and_bybit_v5_is_bybit():
    with pytest.raises(ValidationError, match="EXCHANGE_VENUE"):
        Settings.model_validate({"exchange": {"mode": "real"}})
    settings = Settings.model_validate({"exchange": {"mode": "real", "venue": "bybit_v5"}})
    assert settings.exchange.venue == "bybit"
    assert settings.live
    assert not Settings.model_validate({"exchange": {"venue": "bybit_v5"}}).live


def test_journal_is_power_safe_when_real_unless_said_otherwise():
    real = {"mode": "real", "venue": "binance"}
    assert Settings().journal_sync == "process"
    assert Settings.model_validate({"exchange": real}).journal_sync == "power"
    assert Settings.model_validate({"exchange": real, "journal": {"sync": "process"}}).journal_sync == "process"
    assert Settings.model_validate({"journal": {"sync": "power"}}).journal_sync == "power"


def test_profile_live_loads_only_allowed_installed_plugins(tmp_path: Path):
    with pytest.raises(ValidationError, match="allowed"):
        Settings.model_validate({"profile": "live"})
    host = {"allow": ["grinder-plugin-grid"], "plugins_dir": str(tmp_path)}
    with pytest.raises(ValidationError, match="installed plugins only"):
        Settings.model_validate({"profile": "live", "host": host})
    host.pop("plugins_dir")
    assert Settings.model_validate({"profile": "live", "host": host}).host.allow == ("grinder-plugin-grid",)


def test_models_of_plugins_and_exchanges_are_mounted_under_their_names():
    model = compose({"spread": Spread, "quoter": Quoter}, {"binance": Venue})
    settings = model.model_validate(
        {"plugins": {"quoter": {"enabled": True, "notional": 5}}, "exchanges": {"binance": {"api_secret": "hush"}}}
    )
    assert settings.plugins.get("spread") == Spread()
    quoter = settings.plugins.get("quoter")
    assert isinstance(quoter, Quoter)
    assert quoter.notional == 5
    venue = settings.exchanges.get("binance")
    assert isinstance(venue, Venue)
    assert venue.api_secret is not None
    with pytest.raises(KeyError):
        settings.plugins.get("near_liq")


def test_unknown_keys_and_missing_ones_are_errors_inside_plugins_too():
    model = compose({"spread": Spread, "quoter": Quoter}, {})
    with pytest.raises(ValidationError) as error:
        model.model_validate({"plugins": {"spread": {"max_bbs": 1, "breaker": {"fault": {"probe": 1}}}}})
    where = {found["loc"]: found["type"] for found in error.value.errors()}
    assert where["plugins", "spread", "max_bbs"] == "extra_forbidden"
    assert where["plugins", "spread", "breaker", "fault", "probe"] == "extra_forbidden"
    assert where["plugins", "quoter", "notional"] == "missing"


def test_a_plugin_that_is_not_installed_may_stand_there_disabled_only():
    model = compose({"spread": Spread}, {}, installed=("spread", "near_liq"))
    assert model.model_validate({"plugins": {"fill_prob": {"enabled": False, "min_bps": 1}}}).strategy == "grid"
    assert model.model_validate({"plugins": {"near_liq": {"enabled": True, "anything": 1}}})
    for said in ({"enabled": True}, {"min_bps": 1}, {}):
        with pytest.raises(ValidationError) as error:
            model.model_validate({"plugins": {"fill_prob": said}})
        assert "pip install grinder-plugin-fill-prob" in messages(error)
    with pytest.raises(ValidationError) as error:
        model.model_validate({"plugins": {"near_lik": {"enabled": True}}})
    assert "did you mean 'near_liq'?" in messages(error)


def test_an_exchange_that_is_not_installed_has_no_settings():
    model = compose({}, {"binance": Venue}, installed=("bybit",))
    assert model.model_validate({"exchanges": {"bybit": {"api_key": "x"}}})
    with pytest.raises(ValidationError) as error:
        model.model_validate({"exchanges": {"binanse": {}}})
    assert "pip install grinder-exchange-binanse" in messages(error)
    assert "did you mean 'binance'?" in messages(error)


@pytest.mark.parametrize("name", ["get", "copy", "model_dump", "_hidden", "near-liq", "1up", ""])
def test_names_that_cannot_be_keys_are_refused(name: str):
    with pytest.raises(PluginError, match="choose another"):
        compose({name: Spread}, {})


def test_settings_of_what_is_not_loaded_are_not_kept():
    settings = compose({}, {}).model_validate({"plugins": {"x": {"enabled": False, "token": "planted-secret"}}})
    assert "planted-secret" not in repr(settings)
    assert "planted-secret" not in str(settings.model_dump())
