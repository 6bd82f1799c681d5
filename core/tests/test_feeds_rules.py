"""Files of venue rules alone, named beside recordings that have none."""

from __future__ import annotations

import json

import pytest

from grinder.errors import ConfigError, InputError
from grinder.feeds import open_recordings

T0 = 1_723_161_600_000
FILTERS = [
    {"filterType": "PRICE_FILTER", "tickSize": "0.0100"},
    {"filterType": "LOT_SIZE", "stepSize": "1", "minQty": "1", "maxQty": "1000"},
]
SOL = {"symbol": "SOLUSDT", "contractType": "PERPETUAL", "baseAsset": "SOL", "quoteAsset": "USDT", "filters": FILTERS}
LINEAR = {
    "symbol": "SOLUSDT",
    "contractType": "LinearPerpetual",
    "baseCoin": "SOL",
    "quoteCoin": "USDT",
    "priceFilter": {"tickSize": "0.010"},
    "lotSizeFilter": {"qtyStep": "0.1", "minOrderQty": "0.1", "maxOrderQty": "9", "minNotionalValue": "5"},
}


@pytest.fixture
def prints(tmp_path):
    path = tmp_path / "SOLUSDT-trades-2024-08-09.csv"
    path.write_text(f"1,150.00,1,150,{T0},true\n2,150.01,1,150,{T0 + 9},true\n")
    return path


def rules(folder, answer, indent=None):
    path = folder / "rules.json"
    path.write_text(answer if isinstance(answer, str) else json.dumps(answer, indent=indent))
    return path


@pytest.mark.parametrize("indent", [None, 2])
def test_they_make_a_symbol_known(tmp_path, prints, indent):
    with pytest.raises(ConfigError, match="name a file with the venue's answer besides"):
        open_recordings([prints])
    feed = open_recordings([prints, rules(tmp_path, {"timezone": "UTC", "symbols": [SOL]}, indent)])
    assert str(feed.instruments["SOLUSDT"].tick_size) == "0.0100"
    assert [info.format for info in feed.inputs] == ["binance-usdm archive", "binance-usdm rules"]
    assert len(list(feed)) == 2


def test_rules_of_another_market_do_not_hold(tmp_path, prints):
    spot = {key: value for key, value in SOL.items() if key != "contractType"}
    bybit = {"retCode": 0, "result": {"category": "linear", "list": [LINEAR]}}
    for answer, market in (({"symbols": [spot]}, "binance-spot"), (bybit, "bybit-linear")):
        path = rules(tmp_path, answer)
        with pytest.raises(ConfigError, match="venue rules of SOLUSDT are unknown"):
            open_recordings([prints, path])
        with pytest.raises(ConfigError, match="no data of any symbol is recorded"):
            open_recordings([path])
        assert market


@pytest.mark.parametrize(
    "answer",
    [
        {"symbols": 5},
        {"symbols": [5]},
        {"symbols": [SOL | {"filters": []}]},
        {"retCode": 1, "result": {"category": "linear", "list": [LINEAR | {"priceFilter": {}}]}},
        {"retCode": 0, "result": {"list": 5, "priceFilter": 1}},
        '{"symbols": [',
        '{"symbols": ' + "[" * 50_000,
    ],
)
def test_spoilt_rules_are_named(tmp_path, prints, answer):
    path = rules(tmp_path, answer)
    with pytest.raises(InputError) as caught:
        open_recordings([prints, path])
    assert caught.value.path == str(path)
    with pytest.raises(InputError, match="no market data"):
        open_recordings([prints, path], tolerant=True)


@pytest.mark.parametrize(
    "answer",
    [
        {"retCode": 0, "result": {"orderId": "1"}},
        {"a": {"symbols": []}},
        [{"symbols": []}],
        {"serverTime": 1},
        '{"calls": {"/fapi/v1/exchangeInfo": {"symbols": []}}}',
    ],
)
def test_other_answers_are_no_rules(tmp_path, answer):
    with pytest.raises(InputError, match="unknown format"):
        open_recordings([rules(tmp_path, answer)])
