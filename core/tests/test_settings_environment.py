from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, SecretStr

from grinder.decisions import Mode
from grinder.errors import ConfigError
from grinder.settings.environment import NAMED, env_name
from grinder.settings.model import Settings, compose
from grinder.settings.plugin import GateSettings, PluginSettings, Section
from grinder.settings.sources import Sources

CONTRACTS = Path(__file__).resolve().parents[3] / "shared" / "spec" / "contracts.md"


class FillProb(GateSettings):
    min_bps: int = Field(default=2500, ge=0, le=10_000, description="Threshold.")
    model_dir: Path | None = Field(default=None, description="Model.")
    eval_dir: Path | None = Field(default=None, description="Evaluation.")
    auto_threshold: bool = Field(default=False, description="Apply the recommendation.")
    eval_max_age_hours: float | None = Field(default=None, description="Freshness.")
    artifact_dir: Path | None = Field(default=None, description="Evidence.")
    evidence: bool = Field(default=False, description="Evidence per order.")


class Remediation(PluginSettings):
    remediation_mode: str = Field(default="detect_only", description="Mode.")
    remediation_symbol_allowlist: tuple[str, ...] = Field(default=(), description="Symbols.")
    max_calls_per_day: int = Field(default=100, description="Budget.")


class Venue(Section):
    api_key: SecretStr | None = Field(default=None, description="Key.")
    api_secret: SecretStr | None = Field(default=None, description="Secret.")


def read(**environ: str) -> Settings:
    model = compose({"fill_prob": FillProb, "remediation": Remediation}, {"binance": Venue}, ("grid", "warm_up"))
    return sources(environ).settings(model)


def sources(environ: Mapping[str, str]) -> Sources:
    return Sources.load(environ={"GRINDER_PLUGINS__LIQUIDITY_BY_SIDE__ENABLED": "0", **environ})


def fill_prob(**environ: str) -> FillProb:
    found = read(**environ).plugins.get("fill_prob")
    assert isinstance(found, FillProb)
    return found


UNPREFIXED = """
    REMEDIATION_MODE REMEDIATION_STRATEGY_ALLOWLIST REMEDIATION_SYMBOL_ALLOWLIST MAX_CALLS_PER_DAY MAX_CALLS_PER_RUN
    MAX_NOTIONAL_PER_DAY MAX_NOTIONAL_PER_RUN FLATTEN_MAX_NOTIONAL_PER_CALL BUDGET_STATE_PATH BUDGET_STATE_STALE_HOURS
    RECONCILE_ENABLED RECONCILE_INTERVAL_MS ALLOW_MAINNET_TRADE ALLOW_LEGACY_ORDER_ID LATENCY_RETRY_ENABLED
    HTTP_MAX_ATTEMPTS_READ HTTP_MAX_ATTEMPTS_WRITE HTTP_DEADLINE_PLACE_MS FILL_INGEST_ENABLED FILL_CURSOR_PATH
    EXCHANGE_MODE EXCHANGE_VENUE REDIS_URL APP_CONFIG MODEL_REGISTRY_ROOT DRY_RUN_MAX_ITER DRY_RUN_FORCE_LOSSES
    BINANCE_API_KEY BINANCE_API_SECRET
"""


def test_every_variable_of_the_contracts_is_known():
    if not CONTRACTS.exists():
        pytest.skip(f"{CONTRACTS} is absent")
    text = CONTRACTS.read_text()
    prefixed = set(re.findall(r"\b(GRINDER_[A-Z_]*[A-Z])\b(?![{_])", text))
    assert len(prefixed) > 18
    assert prefixed <= NAMED.keys()
    missing = [name for name in UNPREFIXED.split() if name not in NAMED]
    assert not missing
    assert {f"GRINDER_CONSEC_LOSS_{key}" for key in ("ENABLED", "THRESHOLD", "STATE_PATH", "EVIDENCE")} <= NAMED.keys()


def test_every_path_of_a_named_variable_is_one_of_core_or_of_what_reads_it():
    for name, meaning in NAMED.items():
        group, _, rest = meaning.path.partition(".")
        if group in {"plugins", "exchanges"}:
            assert meaning.reader == f"{group[:-1]} {rest.partition('.')[0]}", name
        elif group:
            assert rest in getattr(Settings(), group).model_fields_set | set(
                type(getattr(Settings(), group)).model_fields
            ), name


def test_the_documents_variables_set_fill_prob():
    found = fill_prob(
        GRINDER_FILL_MODEL_ENFORCE="1",
        GRINDER_FILL_PROB_MIN_BPS="3000",
        GRINDER_FILL_MODEL_DIR="ml/models/fill_model_v0/",
        GRINDER_FILL_PROB_EVAL_DIR="ml/eval/fill_model_v0/",
        GRINDER_FILL_PROB_AUTO_THRESHOLD="yes",
        GRINDER_FILL_PROB_EVAL_MAX_AGE_HOURS="48",
        GRINDER_FILL_PROB_CB_WINDOW_SECONDS="120",
        GRINDER_FILL_PROB_CB_MAX_BLOCK_RATE_PCT="100",
        GRINDER_ARTIFACT_DIR="ml/evidence",
        GRINDER_FILL_PROB_ENFORCE_SYMBOLS=" btcusdt, ETHUSDT ",
        GRINDER_FILL_PROB_EVIDENCE="on",
    )
    assert (found.mode, found.min_bps, found.auto_threshold, found.evidence) == (Mode.ENFORCE, 3000, True, True)
    assert (found.model_dir, found.eval_dir) == (Path("ml/models/fill_model_v0/"), Path("ml/eval/fill_model_v0/"))
    assert (found.eval_max_age_hours, found.artifact_dir) == (48.0, Path("ml/evidence"))
    assert (found.breaker.verdict.window_s, found.breaker.verdict.max_block_pct) == (120.0, 100)
    assert found.symbols == ("BTCUSDT", "ETHUSDT")


def test_zero_stays_zero_and_empty_is_unset():
    assert fill_prob(GRINDER_FILL_PROB_MIN_BPS="0").min_bps == 0
    assert fill_prob(GRINDER_FILL_PROB_MIN_BPS="").min_bps == 2500
    assert fill_prob(GRINDER_FILL_MODEL_DIR="").model_dir is None
    assert fill_prob(GRINDER_FILL_MODEL_ENFORCE="0").mode is Mode.SHADOW


@pytest.mark.parametrize("bad", ["-1", "10001", "2500.5", "NaN", "many"])
def test_a_threshold_out_of_range_is_refused_by_the_variables_name(bad: str):
    with pytest.raises(ConfigError, match=r"^GRINDER_FILL_PROB_MIN_BPS: plugins\.fill_prob\.min_bps: "):
        fill_prob(GRINDER_FILL_PROB_MIN_BPS=bad)


@pytest.mark.parametrize("text", ["1", "true", "YES", "On", " 1 "])
def test_true_in_the_documents_grammar(text: str):
    assert fill_prob(GRINDER_FILL_PROB_AUTO_THRESHOLD=text).auto_threshold
    assert read(GRINDER_SIZING__USE_ALL_IN=text).sizing.use_all_in
    assert fill_prob(GRINDER_FILL_MODEL_ENFORCE=text).mode is Mode.ENFORCE


@pytest.mark.parametrize("text", ["0", "false", "No", "OFF", ""])
def test_false_in_the_documents_grammar(text: str):
    assert not fill_prob(GRINDER_FILL_PROB_AUTO_THRESHOLD=text).auto_threshold
    assert not read(GRINDER_EXCHANGE__REDUCE_ONLY=text).exchange.reduce_only


FLAGS = sorted(name for name, meaning in NAMED.items() if meaning.flag)


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_that_is_no_boolean_is_refused_whoever_reads_it(name: str):
    for bad in ("maybe", "2", "t", "y"):
        with pytest.raises(ConfigError, match=f"^{name}: must be one of 1 true yes on"):
            Sources.load(environ={name: bad})
    with pytest.raises(ConfigError, match=r"^GRINDER_LOG__JSON: log\.json: must be one of"):
        read(GRINDER_LOG__JSON="y")


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_known_variable_is_no_error_when_its_reader_is_not_enabled(name: str):
    value = {"EXCHANGE_MODE": "paper", "EXCHANGE_VENUE": "bybit_v5"}.get(name, "1")
    found = Sources.load(environ={name: value})
    installed = ("grid", "warm_up", "liquidity_by_side")
    settings = found.settings(compose({}, {}, installed))
    told = "\n".join(found.unused(settings))
    assert (name in told) is not name.startswith("EXCHANGE_")


def test_what_is_set_for_nothing_is_told():
    found = sources({"BINANCE_API_SECRET": "planted-secret", "GRINDER_HA_ENABLED": "1", "MAX_CALLS_PER_DAY": "5"})
    model = compose({"fill_prob": FillProb, "remediation": Remediation}, {}, ("grid", "warm_up"))
    assert found.unused(found.settings(model)) == [
        "BINANCE_API_SECRET is set but not used: exchange binance is not enabled",
        "GRINDER_HA_ENABLED is set; it is no setting, but read by leader election",
    ]


def test_other_named_variables():
    settings = read(
        EXCHANGE_MODE="real",
        EXCHANGE_VENUE="bybit_v5",
        REMEDIATION_MODE="plan_only",
        REMEDIATION_SYMBOL_ALLOWLIST="BTCUSDT,ETHUSDT",
        MAX_CALLS_PER_DAY="0",
        BINANCE_API_KEY="12345",
        ALLOW_MAINNET_TRADE="1",
    )
    assert (settings.exchange.mode, settings.exchange.venue) == ("real", "bybit")
    remediation = settings.plugins.get("remediation")
    assert isinstance(remediation, Remediation)
    assert (remediation.remediation_mode, remediation.max_calls_per_day) == ("plan_only", 0)
    assert remediation.remediation_symbol_allowlist == ("BTCUSDT", "ETHUSDT")
    venue = settings.exchanges.get("binance")
    assert isinstance(venue, Venue)
    assert venue.api_key is not None
    assert venue.api_key.get_secret_value() == "12345"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("GRINDER_GATES_ORDER", "GRINDER_GATES__ORDER"),
        ("GRINDER_GATES__ORDR", "GRINDER_GATES__ORDER"),
        ("GRINDER_GATE__ORDER", "GRINDER_GATES__ORDER"),
        ("GRINDER_STRATGY", "GRINDER_STRATEGY"),
        ("GRINDER_FILL_MODEL_ENFROCE", "GRINDER_FILL_MODEL_ENFORCE"),
        ("GRINDER_ARTIFACTS_DIRR", "GRINDER_ARTIFACTS_DIR"),
        ("GRINDER_PLUGNS__FILL_PROB__MIN_BPS", "GRINDER_PLUGINS__FILL_PROB__MIN_BPS"),
        ("GRINDER_PLUGINS__FILL_PROB__MIN_BP", "GRINDER_PLUGINS__FILL_PROB__MIN_BPS"),
        (
            "GRINDER_PLUGINS__FILL_PROB__BREAKER__VERDICT__WINDOW",
            "GRINDER_PLUGINS__FILL_PROB__BREAKER__VERDICT__WINDOW_S",
        ),
        ("GRINDER_METRICS_PORT", "GRINDER_METRICS__PORT"),
        ("GRINDER_gates__order", "GRINDER_GATES__ORDER"),
        ("GRINDER_GATES___ORDER", "GRINDER_GATES__ORDER"),
    ],
)
def test_an_unknown_variable_is_an_error_with_the_nearest_name(name: str, nearest: str):
    with pytest.raises(ConfigError) as error:
        read(**{name: "planted-value"})
    assert name in str(error.value)
    assert str(error.value).endswith(f"did you mean {nearest}?")
    assert "planted-value" not in str(error.value)


@pytest.mark.parametrize("name", ["GRINDER_", "GRINDER_XYZZY", "GRINDER___", "GRINDER_PORTFOLIO", "GRINDER_X__Y"])
def test_an_unknown_variable_without_a_near_name_is_an_error_too(name: str):
    with pytest.raises(ConfigError, match=f"unknown environment variable {name}"):
        read(**{name: "x"})


@pytest.mark.parametrize(
    "name",
    [
        "GRINDER_SERVICE_HOST",
        "GRINDER_SERVICE_PORT",
        "GRINDER_SERVICE_PORT_METRICS",
        "GRINDER_PORT",
        "GRINDER_PORT_9090_TCP",
        "GRINDER_PORT_9090_TCP_ADDR",
        "GRINDER_REDIS_SERVICE_HOST",
        "GRINDER_REDIS_SERVICE_PORT",
        "GRINDER_REDIS_PORT",
        "GRINDER_REDIS_PORT_6379_TCP_PROTO",
    ],
)
def test_what_container_platforms_inject_is_ignored(name: str):
    assert read(**{name: "tcp://10.0.0.1:6379"}).model_dump() == read().model_dump()


def test_a_group_is_set_key_by_key_and_a_mapping_in_one_value():
    with pytest.raises(ConfigError, match="GRINDER_GATES: gates: is a group"):
        read(GRINDER_GATES="{order: [a]}")
    with pytest.raises(ConfigError, match="contradicts"):
        read(GRINDER_GATES="{}", GRINDER_GATES__ORDER="a")


@pytest.mark.parametrize(
    "text", ["BTCUSDT,ETHUSDT", "[BTCUSDT, ETHUSDT]", " BTCUSDT , ETHUSDT, ", '["BTCUSDT", ETHUSDT]']
)
def test_a_list_is_written_with_commas_or_brackets(text: str):
    assert read(GRINDER_SYMBOLS=text).symbols == ("BTCUSDT", "ETHUSDT")


def test_text_stays_text_where_the_setting_is_text():
    assert read(GRINDER_STRATEGY="010").strategy == "010"
    assert read(GRINDER_SYMBOLS="1000,NO").symbols == ("1000", "NO")
    assert read(GRINDER_SYMBOLS="").symbols == ()
    assert read(GRINDER_HOST__PLUGINS_DIR="").host.plugins_dir is None


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(["GRINDER_SYMBOLS", "GRINDER_LOG__LEVEL", "GRINDER_SIZING__LEVERAGE", "GRINDER_METRICS__PORT",
                          "GRINDER_EXCHANGE__POST_ONLY", "GRINDER_ENGINE__WATCHDOG_S", "GRINDER_FILL_PROB_MIN_BPS"]),
    value=st.text("[]{}&*!:,'\"#\n x019.-e", max_size=12),
)  # fmt: skip
def test_whatever_a_variable_holds_it_is_read_or_refused_by_name(name: str, value: str):
    refusal = ""
    try:
        read(**{name: value})
    except ConfigError as error:
        refusal = str(error)
    assert not refusal or refusal.startswith(f"{name}: ")


def test_the_name_of_a_keys_variable():
    assert env_name("plugins.fill_prob.min_bps") == "GRINDER_PLUGINS__FILL_PROB__MIN_BPS"
