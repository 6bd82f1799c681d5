"""Instruments: what a venue accepts for a symbol. From its own rules, ccxt's markets, or the shipped tables."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from grinder.errors import ConfigError, InputError


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """Venue rules of one linear symbol. Prices and notionals in ``quote``, quantities in ``base``.

    ``max_market_qty`` is the largest market order, where the venue has a limit of its own for them. A market order is
    filled no further than ``market_bound`` (a fraction) from the mark price.
    """

    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    min_qty: Decimal
    max_qty: Decimal
    min_notional: Decimal
    maker_fee: Decimal = Decimal("0.0002")
    taker_fee: Decimal = Decimal("0.0005")
    collar_up: Decimal = Decimal("1.05")
    collar_down: Decimal = Decimal("0.95")
    max_market_qty: Decimal | None = None
    market_bound: Decimal = Decimal("0.05")
    source: str = "table"

    @property
    def most_at_market(self) -> Decimal:
        """Largest quantity of a market order."""
        return self.max_qty if self.max_market_qty is None else self.max_market_qty


def _row(base: str, tick: str, min_notional: str, most: str, most_at_market: str) -> Instrument:
    lot = "0.001"
    return Instrument(
        symbol=f"{base}USDT",
        base=base,
        quote="USDT",
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
        min_qty=Decimal(lot),
        max_qty=Decimal(most),
        min_notional=Decimal(min_notional),
        max_market_qty=Decimal(most_at_market),
    )


TABLE: Mapping[str, Instrument] = {
    row.symbol: row
    for row in (
        _row("BTC", "0.10", "100", "1000", "120"),
        _row("ETH", "0.01", "20", "10000", "2000"),
    )
}
"""Binance USD-M perpetuals as of 2025-08 (exchangeInfo), for recordings that carry none."""


BYBIT_TABLE: Mapping[str, Instrument] = {
    symbol: msgspec.structs.replace(
        TABLE[symbol],
        lot_size=Decimal(lot),
        min_qty=Decimal(lot),
        max_qty=Decimal(most),
        max_market_qty=Decimal(at_market),
        min_notional=Decimal(5),
        taker_fee=Decimal("0.00055"),
        collar_up=1 + Decimal(collar),
        collar_down=1 - Decimal(collar),
    )
    for symbol, lot, most, at_market, collar in (
        ("BTCUSDT", "0.001", "1500", "150", "0.01"),
        ("ETHUSDT", "0.01", "10000", "2000", "0.02"),
    )
}
"""Bybit linear perpetuals as of 2026-08 (instruments-info), for recordings that carry none."""


def instruments_from_exchange_info(
    info: Mapping[str, Any], path: str = "exchangeInfo", line: int = 0
) -> dict[str, Instrument]:
    """Instruments from a Binance exchangeInfo answer (USD-M or spot); symbols that are not linear are left out.

    Raises:
        InputError: the answer has no symbols, or a symbol lacks its tick or lot filter.
    """
    symbols = info.get("symbols")
    if not isinstance(symbols, list):
        raise InputError(path, line, "exchangeInfo has no 'symbols' list; record it again")
    found = {}
    for entry in symbols:
        if entry.get("contractType", "PERPETUAL") == "PERPETUAL" and entry.get("quoteAsset") in (
            "USDT",
            "USDC",
            "BUSD",
        ):
            found[entry["symbol"]] = _from_entry(entry, path, line)
    return found


def _sound(instrument: Instrument) -> Instrument:
    """The instrument, if its numbers can be what a venue means.

    Raises:
        ArithmeticError: they cannot.
    """
    steps = (instrument.tick_size, instrument.lot_size)
    others = (
        instrument.min_qty,
        instrument.max_qty,
        instrument.most_at_market,
        instrument.min_notional,
        instrument.market_bound,
        instrument.collar_down,
    )
    numbers = (*steps, *others, instrument.collar_up)
    if not all(number.is_finite() for number in numbers) or min(steps) <= 0 or min(others) < 0:
        raise ArithmeticError("its numbers: a step that is not positive, or a number that is negative or not finite")
    return instrument


def _from_entry(entry: Mapping[str, Any], path: str, line: int) -> Instrument:
    filters = {f["filterType"]: f for f in entry.get("filters", ())}
    try:
        price, lot = filters["PRICE_FILTER"], filters["LOT_SIZE"]
        notional = filters.get("MIN_NOTIONAL") or filters.get("NOTIONAL") or {}
        percent = filters.get("PERCENT_PRICE", {})
        at_market = filters.get("MARKET_LOT_SIZE", {}).get("maxQty")
        instrument = Instrument(
            symbol=entry["symbol"],
            base=entry["baseAsset"],
            quote=entry["quoteAsset"],
            tick_size=Decimal(price["tickSize"]),
            lot_size=Decimal(lot["stepSize"]),
            min_qty=Decimal(lot["minQty"]),
            max_qty=Decimal(lot["maxQty"]),
            min_notional=Decimal(notional.get("notional") or notional.get("minNotional") or "0"),
            collar_up=Decimal(percent.get("multiplierUp", "1.05")),
            collar_down=Decimal(percent.get("multiplierDown", "0.95")),
            max_market_qty=Decimal(at_market) if at_market is not None and Decimal(at_market) > 0 else None,
            market_bound=Decimal(entry.get("marketTakeBound", "0.05")),
            source="exchangeInfo",
        )
        return _sound(instrument)
    except (KeyError, ArithmeticError, TypeError) as error:
        message = f"exchangeInfo of {entry.get('symbol')!r} lacks or spoils {error}; record it again"
        raise InputError(path, line, message) from error


def from_instruments_info(
    info: Mapping[str, Any], path: str = "instruments-info", line: int = 0
) -> dict[str, Instrument]:
    """Instruments from a Bybit v5 instruments-info answer; what is no linear perpetual is left out.

    Raises:
        InputError: the answer has no list, or a symbol lacks its tick or lot.
    """
    result = info.get("result")
    entries = result.get("list") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(entries, list):
        raise InputError(path, line, "instruments-info has no result with a 'list'; record it again")
    if result.get("category", "linear") != "linear":
        return {}
    return {
        entry["symbol"]: _from_linear(entry, path, line)
        for entry in entries
        if entry.get("contractType") == "LinearPerpetual" and entry.get("quoteCoin") in ("USDT", "USDC")
    }


def _from_linear(entry: Mapping[str, Any], path: str, line: int) -> Instrument:
    try:
        lot = entry["lotSizeFilter"]
        # How far from the mark price an order may be without a premium; the venue may allow up to priceLimitRatioY.
        collar = Decimal((entry.get("riskParameters") or {}).get("priceLimitRatioX") or "0.05")
        at_market = lot.get("maxMktOrderQty")
        instrument = Instrument(
            symbol=entry["symbol"],
            base=entry["baseCoin"],
            quote=entry["quoteCoin"],
            tick_size=Decimal(entry["priceFilter"]["tickSize"]),
            lot_size=Decimal(lot["qtyStep"]),
            min_qty=Decimal(lot["minOrderQty"]),
            max_qty=Decimal(lot["maxOrderQty"]),
            max_market_qty=Decimal(at_market) if at_market else None,
            min_notional=Decimal(lot.get("minNotionalValue") or "0"),
            taker_fee=Decimal("0.00055"),
            collar_up=1 + collar,
            collar_down=1 - collar,
            source="instruments-info",
        )
        return _sound(instrument)
    except (AttributeError, KeyError, ArithmeticError, TypeError) as error:
        message = f"instruments-info of {entry.get('symbol')!r} lacks or spoils {error}; record it again"
        raise InputError(path, line, message) from error


TICK_SIZE, DECIMAL_PLACES = 4, 2
"""ccxt's ``precisionMode``: whether a precision of 3 means steps of 3, or of 0.001."""


def instrument_from_ccxt(market: Mapping[str, Any], *, precision_mode: int = TICK_SIZE) -> Instrument:
    """The instrument in one of the markets that ccxt's ``load_markets`` returned; ccxt itself is not needed.

    The symbol is the venue's own (``BTCUSDT``), not ccxt's. Where the venue's answer is there, its filters hold;
    else ccxt's precision and limits, without a price collar of the venue's.

    Args:
        market: the market.
        precision_mode: the client's ``precisionMode``.

    Raises:
        ConfigError: the market is not linear, counts in contracts, or lacks a precision.
    """
    given: Any = market
    name = given.get("id") if isinstance(given, Mapping) else None
    if not isinstance(name, str):
        raise ConfigError("that is no market of ccxt: give one of exchange.markets.values()")
    size = market.get("contractSize")
    if market.get("inverse") or market.get("option") or (size is not None and size != 1):
        raise ConfigError(f"{name}: only linear markets whose quantities are in base units can be used")
    info = market.get("info")
    try:
        if isinstance(info, Mapping) and isinstance(info.get("filters"), list):
            return _from_entry(info, "ccxt", 0)
        return _from_limits(name, market, precision_mode)
    except (AttributeError, KeyError, TypeError, ArithmeticError, ValueError, InputError) as error:
        raise ConfigError(f"the market {name} lacks or spoils {error}; call load_markets again") from error


def _from_limits(name: str, market: Mapping[str, Any], precision_mode: int) -> Instrument:
    if precision_mode not in {TICK_SIZE, DECIMAL_PLACES}:
        raise ConfigError(f"{name}: precisionMode {precision_mode} is not supported; give the Instrument by hand")
    precision, limits = market["precision"], market.get("limits") or {}
    steps = [_number(precision[key]) for key in ("price", "amount")]
    if precision_mode == DECIMAL_PLACES:
        steps = [Decimal(1).scaleb(-int(step)) for step in steps]
    tick, lot = steps
    if not (tick > 0 and lot > 0):
        raise ValueError(f"a precision above zero ({tick}, {lot})")
    amount, cost = limits.get("amount") or {}, limits.get("cost") or {}
    fees = {f"{kind}_fee": _number(market[kind]) for kind in ("maker", "taker") if market.get(kind) is not None}
    return Instrument(
        symbol=name,
        base=str(market["base"]),
        quote=str(market["quote"]),
        tick_size=tick,
        lot_size=lot,
        min_qty=_number(amount.get("min")) or lot,
        max_qty=_number(amount.get("max")) or Decimal(10**12),
        min_notional=_number(cost.get("min")),
        source="ccxt",
        **fees,
    )


def _number(value: Any) -> Decimal:
    """A number as ccxt has it, floats by their shortest text; zero for None."""
    number = Decimal(float.__repr__(value) if isinstance(value, float) else str(value or 0))
    if not number.is_finite():
        raise ValueError(f"a finite number ({value})")
    return number
