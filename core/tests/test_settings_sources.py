from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from grinder.errors import ConfigError
from grinder.settings.model import HostSettings, Settings, compose
from grinder.settings.plugin import GateSettings, PluginSettings
from grinder.settings.sources import PROFILES, Sources, profiles

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = ("grid", "warm_up", "liquidity_by_side")


class Spread(GateSettings):
    max_bps: float = Field(default=5.0, gt=0, description="Widest spread.")
    per_symbol: dict[str, Decimal] = Field(default={}, description="Widest spread by symbol.")
    pair: tuple[int, str] = Field(default=(1, "a"), description="A pair.")
    levels: list[tuple[int, ...]] = Field(default=[], description="Lists in a list.")


class Quoter(PluginSettings):
    note: str | None = Field(default=None, description="Text or nothing.")


MODEL = compose({"spread": Spread, "quoter": Quoter}, {}, INSTALLED)


def load(**given: Any) -> Settings:
    return Sources.load(**{"environ": {}, **given}).settings(MODEL)


def spread(**given: Any) -> Spread:
    found = load(**given).plugins.get("spread")
    assert isinstance(found, Spread)
    return found


def write(path: Path, data: object) -> Path:
    path.write_text(yaml.safe_dump(data))
    return path


LEVELS = {
    "set": lambda folder, value: {"overrides": [f"plugins.spread.max_bps={value}"]},
    "environment": lambda folder, value: {"environ": {"GRINDER_PLUGINS__SPREAD__MAX_BPS": str(value)}},
    "secrets": lambda folder, value: {"secrets_dir": secret(folder, "plugins.spread.max_bps", str(value))},
    "file": lambda folder, value: {
        "config": write(folder / "app.yml", {"plugins": {"spread": {"max_bps": value, "levels": [[value]]}}})
    },
}


def secret(folder: Path, name: str, text: str) -> Path:
    secrets = folder / "secrets"
    secrets.mkdir(exist_ok=True)
    (secrets / name).write_text(text)
    return secrets


@pytest.mark.parametrize("missing", range(len(LEVELS) + 1))
def test_the_higher_source_wins(tmp_path: Path, missing: int):
    given: dict[str, Any] = {}
    present = list(LEVELS)[missing:]
    for value, name in enumerate(present, start=1):
        given |= LEVELS[name](tmp_path, value)
    assert spread(**given).max_bps == (1 if present else 5.0)
    assert spread(**given).levels == ([(len(present),)] if "file" in present else [])


KEYS = {
    "strategy": ("alpha", "beta", "gamma", "delta"),
    "market.stale_ms": (1, 2, 3, 4),
    "engine.max_in_flight": (1, 2, 3, 4),
    "gates.evaluate": ("all", "first_block", "all", "first_block"),
    "symbols": (["A"], ["B", "C"], [], ["D"]),
    "exchange.post_only": (True, False, True, False),
    "plugins.spread.max_bps": (1.5, 2.5, 3.5, 4.5),
    "plugins.spread.breaker.fault.probes": (1, 2, 3, 4),
    "plugins.spread.per_symbol.BTCUSDT": ("1", "2", "3", "4"),
}
SOURCES = ("set", "environment", "secrets", "file")


def as_text(value: object) -> str:
    return ",".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)


def nested(values: dict[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *groups, last = key.split(".")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        node[last] = value
    return tree


def reached(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = tree[part]
    return tree


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(KEYS)), st.sets(st.sampled_from(SOURCES), min_size=1), min_size=1))
def test_for_any_keys_in_any_sources_the_highest_holds_and_is_the_origin(
    tmp_path_factory: pytest.TempPathFactory, chosen: dict[str, set[str]]
):
    folder = tmp_path_factory.mktemp("any")
    if "plugins.spread.per_symbol.BTCUSDT" in chosen:  # names of variables are read in lower case
        chosen["plugins.spread.per_symbol.BTCUSDT"].discard("environment")
    by_source = {
        source: {key: KEYS[key][rank] for key, sources in chosen.items() if source in sources}
        for rank, source in enumerate(SOURCES)
    }
    for key, value in by_source["secrets"].items():
        secret(folder, key, as_text(value))
    (folder / "secrets").mkdir(exist_ok=True)
    given = Sources.load(
        overrides=[f"{key}={as_text(value)}" for key, value in by_source["set"].items()],
        environ={
            "GRINDER_" + key.replace(".", "__").upper(): as_text(value)
            for key, value in by_source["environment"].items()
        },
        secrets_dir=folder / "secrets",
        config=write(folder / "app.yml", nested(by_source["file"])),
    )
    resolved = given.settings(MODEL).model_dump(mode="json", by_alias=True)
    kinds = {"set": "command line", "environment": "environment", "secrets": "secrets", "file": "file"}
    for key, sources in chosen.items():
        if sources:
            highest = min(sources, key=SOURCES.index)
            assert reached(resolved, key) == KEYS[key][SOURCES.index(highest)]
            assert given.origin(key.split(".")).kind == kinds[highest]


def test_named_variables_stand_between_the_environment_and_the_secrets(tmp_path: Path):
    secrets = secret(tmp_path, "exchange.venue", "from-secrets")
    assert load(secrets_dir=secrets).exchange.venue == "from-secrets"
    named = {"EXCHANGE_VENUE": "from-named"}
    assert load(secrets_dir=secrets, environ=named).exchange.venue == "from-named"
    both = {**named, "GRINDER_EXCHANGE__VENUE": "from-env"}
    assert load(secrets_dir=secrets, environ=both).exchange.venue == "from-env"


def test_values_of_one_group_come_from_several_sources(tmp_path: Path):
    config = write(tmp_path / "app.yml", {"sizing": {"leverage": 3, "notional_cap_usd": 50}})
    sizing = load(config=config, overrides=["sizing.leverage=2"]).sizing
    assert (sizing.leverage, sizing.notional_cap_usd, sizing.min_free_balance_usd) == (2, 50, 200)


def test_the_last_of_two_overrides_holds_and_groups_are_not_overridden():
    assert load(overrides=["log.level=debug", "log.level=error"]).log.level == "error"
    with pytest.raises(ConfigError, match="--set log: is a group of settings"):
        load(overrides=["log=debug"])
    for overrides in (["log=debug", "log.level=error"], ["log.level=error", "log=debug"]):
        with pytest.raises(ConfigError, match="contradicts"):
            load(overrides=overrides)


@pytest.mark.parametrize(
    ("override", "key", "meant"),
    [
        ("symbols=[BTCUSDT, ETHUSDT]", "symbols", ("BTCUSDT", "ETHUSDT")),
        ("symbols=BTCUSDT", "symbols", ("BTCUSDT",)),
        ("symbols=[]", "symbols", ()),
        ("strategy='grid'", "strategy", "grid"),
        ("strategy=a=b", "strategy", "a=b"),
    ],
)
def test_override_values(override: str, key: str, meant: object):
    assert getattr(load(overrides=[override]), key) == meant


def test_override_values_are_typed_by_the_setting():
    found = spread(
        overrides=[
            "plugins.spread.per_symbol={BTCUSDT: 1.50, ETHUSDT: 2}",
            "plugins.spread.pair=[7, 007]",
            "plugins.spread.levels=[[1, 2], [3]]",
        ]
    )
    assert found.per_symbol == {"BTCUSDT": Decimal("1.50"), "ETHUSDT": Decimal(2)}
    assert found.pair == (7, "007")
    assert found.levels == [(1, 2), (3,)]
    assert spread(overrides=["plugins.spread.per_symbol.BTCUSDT=3"]).per_symbol == {"BTCUSDT": Decimal(3)}
    quoter = load(overrides=["plugins.quoter.note=null"]).plugins.get("quoter")
    assert quoter == Quoter()


@pytest.mark.parametrize(
    "bad", ["symbols=[a", "symbols=[&x a, *x]", "plugins.spread.per_symbol=x", "plugins.spread.per_symbol=[a]"]
)
def test_override_values_that_cannot_be_read(bad: str):
    with pytest.raises(ConfigError, match=f"^--set {bad.partition('=')[0]}"):
        load(overrides=[bad])


@pytest.mark.parametrize("bad", ["symbols", "=x", ".a=1", "a.=1", "a..b=1", ""])
def test_overrides_that_are_none(bad: str):
    with pytest.raises(ConfigError, match="write --set KEY=VALUE"):
        load(overrides=[bad])


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("stratgy", "strategy"),
        ("gates.ordr", "gates.order"),
        ("plugins.spread.max_bp", "plugins.spread.max_bps"),
        ("plugins.spread.breaker.fault.prob", "plugins.spread.breaker.fault.probes"),
    ],
)
def test_unknown_keys_at_every_level_with_suggestions(tmp_path: Path, key: str, nearest: str):
    with pytest.raises(ConfigError) as error:
        load(overrides=[f"{key}=1"])
    assert str(error.value) == f"--set {key}: unknown key; did you mean {nearest}?"
    config = write(tmp_path / "app.yml", nested({"market.stale_ms": 5, key: 1}))
    with pytest.raises(ConfigError) as error:
        load(config=config)
    line = next(n for n, text in enumerate(config.read_text().splitlines(), 1) if key.rpartition(".")[2] in text)
    assert str(error.value) == f"{config}:{line}: {key}: unknown key; did you mean {nearest}?"


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path):
    config = write(tmp_path / "app.yml", {"market": {"stale_ms": 0}, "zzz": 1, "symbols": "BTCUSDT", "gates": 5})
    with pytest.raises(ConfigError) as error:
        load(config=config, overrides=["exchange.mode=paper", "log.json=maybe"], environ={"GRINDER_METRICS__PORT": "x"})
    said = str(error.value).splitlines()
    assert len(said) == 6
    assert any(line.startswith(f"{config}:3: market.stale_ms: ") for line in said)
    assert "--set log.json: must be one of 1 true yes on, or 0 false no off" in said
    assert any(line.startswith("GRINDER_METRICS__PORT: metrics.port: ") for line in said)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["log.level=debug", "exchange.mode=real"],
            "--set exchange.mode: real, but the venue is paper; name the venue",
        ),
        (["plugins.spred.enabled=1"], "--set plugins.spred.enabled: plugins.spred: not installed: pip install"),
        (["exchanges.binance.url=x"], "--set exchanges.binance.url: exchanges.binance: not installed: pip install"),
        (["profile=live", "host.plugins_dir=/x", "market.stale_ms=9"], "--set host.plugins_dir: profile live loads"),
        (["profile=live", "host.allow=[]"], "--set host.allow: profile live loads allowed distributions only"),
    ],
)
def test_what_concerns_several_keys_is_said_of_the_one_to_change(overrides: list[str], said: str):
    with pytest.raises(ConfigError) as error:
        load(overrides=overrides)
    assert str(error.value).startswith(said)


def test_an_empty_group_in_yaml_says_nothing(tmp_path: Path):
    config = tmp_path / "app.yml"
    config.write_text("gates:\n  # order: [a]\nplugins:\n  spread:\n    breaker:\n")
    assert load(config=config) == load()


@pytest.mark.parametrize("option", ["config", "secrets_dir"])
def test_named_files_must_exist(tmp_path: Path, option: str):
    wrong_kind = tmp_path if option == "config" else write(tmp_path / "file", {})
    for path, said in ((tmp_path / "missing", "o such file"), (wrong_kind, "irectory")):
        with pytest.raises(ConfigError, match=f"{path}.*{said}") as error:
            load(**{option: path})
        assert error.value.exit_code == 2


def test_files_of_a_secrets_directory(tmp_path: Path):
    secrets = secret(tmp_path, "GRINDER_SYMBOLS", "BTCUSDT\n")
    secret(tmp_path, "log.level", "debug\r\n")
    secret(tmp_path, "EXCHANGE_VENUE", "bybit_v5")
    secret(tmp_path, "GRINDER_FILL_PROB_MIN_BPS", "0")
    (secrets / "..data").mkdir()
    (secrets / ".hidden").write_text("x")
    settings = load(secrets_dir=secrets)
    assert (settings.symbols, settings.log.level, settings.exchange.venue) == (("BTCUSDT",), "debug", "bybit")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("log.levl", "log.levl: unknown key; did you mean log.level?"),
        ("logg.level", "no setting has this name; did you mean 'log'?"),
        ("zzzzzz", "no setting has this name; name it like"),
        ("GRINDER_LOGG__LEVEL", "did you mean GRINDER_LOG__LEVEL?"),
        ("log..level", "no setting has this name"),
    ],
)
def test_files_of_a_secrets_directory_that_mean_nothing(tmp_path: Path, name: str, said: str):
    with pytest.raises(ConfigError) as error:
        load(secrets_dir=secret(tmp_path, name, "planted-secret"))
    assert said in str(error.value)
    assert "planted-secret" not in str(error.value)


def test_files_of_a_secrets_directory_that_cannot_be_read(tmp_path: Path):
    secrets = secret(tmp_path, "strategy", "")
    (secrets / "strategy").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(secrets_dir=secrets)
    (secrets / "strategy").write_bytes(b"x" * 70_000)
    with pytest.raises(ConfigError, match="larger than"):
        load(secrets_dir=secrets)
    (secrets / "strategy").unlink()
    (secrets / "strategy").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load(secrets_dir=secrets)


def test_the_profile_comes_from_the_highest_source_that_names_one(tmp_path: Path):
    config = write(tmp_path / "app.yml", {"profile": "testnet"})
    environ = {"GRINDER_PROFILE": "paper"}
    assert load().profile == "paper"
    assert load(config=config).profile == "testnet"
    assert load(config=config).exchange.venue == "binance"
    assert load(config=config, environ=environ).profile == "paper"
    assert load(profile="testnet", config=config, environ=environ).profile == "testnet"
    assert load(profile="testnet", overrides=["profile=paper"]).profile == "testnet"
    assert load(profile="testnet", overrides=["exchange.venue=bybit"]).exchange.venue == "bybit"


@pytest.mark.parametrize("name", ["lve", "../profiles/live", "live.yaml", "", "zzzzzz"])
def test_a_profile_that_does_not_exist(name: str):
    with pytest.raises(ConfigError, match=r"--profile: unknown profile; (did you mean 'live'|there are live, paper)"):
        load(profile=name)


def test_shipped_profiles_are_the_ones_in_config():
    assert profiles() == ["live", "paper", "testnet"]
    for name in profiles():
        assert (ROOT / "config" / "profiles" / f"{name}.yaml").resolve() == PROFILES / f"{name}.yaml"


@pytest.mark.parametrize("name", ["live", "paper", "testnet"])
def test_shipped_profiles_validate_and_add_no_risk(name: str):
    sources = Sources.load(profile=name, environ={})
    settings = sources.settings(MODEL)
    assert settings.rollout.mode == "disabled"
    assert settings.metrics.host == "127.0.0.1"
    assert settings.sizing.use_all_in is False
    assert sources.enabled_plugins() == ("grid", "liquidity_by_side", "warm_up")
    if name == "paper":
        assert not settings.live
        assert settings.gates.order == ("warm_up", "liquidity_by_side")
    else:
        assert settings.live
        assert settings.journal_sync == "power"
        assert set(settings.host.essential) == {"warm_up", "liquidity_by_side"}
    if name == "live":
        assert "grinder-plugin-grid" in settings.host.allow
    text = (PROFILES / f"{name}.yaml").read_text()
    assert not {"api_key:", "api_secret:"} & set(text.split())


@pytest.mark.parametrize(
    ("given", "enabled"),
    [
        ({"overrides": ["plugins.spread.enabled=true"]}, True),
        ({"environ": {"GRINDER_PLUGINS__SPREAD__ENABLED": "on"}}, True),
        ({"environ": {"GRINDER_PLUGINS__SPREAD__ENABLED": "0"}, "overrides": ["plugins.spread.enabled=1"]}, True),
        ({"environ": {"GRINDER_PLUGINS__SPREAD__ENABLED": "1"}, "overrides": ["plugins.spread.enabled=no"]}, False),
        ({"environ": {"GRINDER_PLUGINS__SPREAD__MAX_BPS": "1"}}, False),
        ({"overrides": ["plugins.spread.enabled=true", "plugins.grid.enabled=false"]}, True),
    ],
)
def test_which_plugins_are_enabled_is_known_before_they_are_imported(given: dict[str, Any], enabled: bool):
    sources = Sources.load(**{"environ": {}, **given})
    assert ("spread" in sources.enabled_plugins()) is enabled
    assert sources.settings(MODEL).plugins.get("spread").enabled is enabled


def test_an_enabled_that_is_no_boolean(tmp_path: Path):
    for said in ("maybe", "[1]", "2"):
        sources = Sources.load(environ={}, overrides=[f"plugins.spread.enabled={said}"])
        with pytest.raises(ConfigError, match=r"^--set plugins\.spread\.enabled: must be one of"):
            sources.enabled_plugins()
    config = write(tmp_path / "app.yml", {"plugins": {"spread": {"enabled": [True]}}})
    with pytest.raises(ConfigError, match=r"app\.yml:3: plugins\.spread\.enabled: must be"):
        Sources.load(environ={}, config=config).enabled_plugins()


def test_substituted_text_is_typed_by_the_setting(tmp_path: Path):
    config = tmp_path / "app.yml"
    config.write_text(
        "symbols: ${SYMBOLS:-BTCUSDT,ETHUSDT}\n"
        "exchange: {mode: '${EXCHANGE_MODE:-paper}', post_only: '${POST:-yes}'}\n"
        "plugins: {spread: {enabled: '${ON:-true}', max_bps: '${BPS:-7}', levels: [['${L:-1}']]}}\n"
        "gates: {order: ['${FIRST:-spread}']}\n"
    )
    settings = load(config=config)
    assert settings.symbols == ("BTCUSDT", "ETHUSDT")
    assert settings.exchange.post_only is True
    assert settings.gates.order == ("spread",)
    found = spread(config=config, environ={"BPS": "2.5", "L": "9"})
    assert (found.enabled, found.max_bps, found.levels) == (True, 2.5, [(9,)])
    with pytest.raises(ConfigError, match=r"app\.yml:3: plugins\.spread\.enabled: must be one of"):
        Sources.load(config=config, environ={"ON": "perhaps"}).enabled_plugins()


def test_one_group_can_be_read_before_plugins_are_known(tmp_path: Path):
    config = write(tmp_path / "app.yml", {"host": {"allow": ["a"], "deny": ["x"]}, "plugins": {"unknown": {"a": 1}}})
    sources = Sources.load(config=config, overrides=["host.deny=b,c"], environ={})
    assert sources.part("host", HostSettings) == HostSettings(allow=("a",), deny=("b", "c"))
    assert Sources.load(environ={}).part("host", HostSettings) == HostSettings()
    bad = Sources.load(environ={"GRINDER_HOST__ALLOW": "[a"})
    with pytest.raises(ConfigError, match=r"^GRINDER_HOST__ALLOW: host\.allow: "):
        bad.part("host", HostSettings)


def test_origins(tmp_path: Path):
    config = write(tmp_path / "app.yml", {"market": {"stale_ms": 7}})
    secrets = secret(tmp_path, "sizing.leverage", "3")
    sources = Sources.load(
        config=config,
        secrets_dir=secrets,
        overrides=["log.level=debug"],
        environ={"GRINDER_SYMBOLS": "A", "EXCHANGE_VENUE": "bybit"},
    )
    assert str(sources.origin(("log", "level"))) == "--set log.level"
    assert str(sources.origin(("symbols",))) == "GRINDER_SYMBOLS"
    assert str(sources.origin(("exchange", "venue"))) == "EXCHANGE_VENUE"
    assert str(sources.origin(("sizing", "leverage"))) == str(secrets / "sizing.leverage")
    assert str(sources.origin(("market", "stale_ms"))) == f"{config}:2"
    assert str(sources.origin(("strategy",))).startswith("profile paper:")
    assert str(sources.origin(("journal", "sync"))) == "default"
    assert str(Sources.load(profile="paper", environ={}).origin(("profile",))) == "--profile"


def test_loading_twice_does_not_leak_from_one_to_the_other():
    assert load(overrides=["strategy=other"]).strategy == "other"
    with pytest.raises(ConfigError):
        load(overrides=["market.stale_ms=0"])
    assert load().strategy == "grid"
    assert MODEL().strategy == "grid"
    assert MODEL().plugins.get("spread") == Spread()
