"""Settings of the paper exchange."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from grinder import ConfigError, Section
from grinder_exchange_paper import brackets, fees


def _p99(name: str) -> Any:
    text = f"99th percentile of {name}: it is then log-normal with that median, drawn by the seed; unset: constant."
    return Field(default=None, gt=0, le=600_000, description=text)


class Settings(Section):
    """The simulated venue: its distance, its wallet and its account mode."""

    feed_latency_ms: float = Field(
        default=0.0, ge=0, le=600_000, description="Time that market data takes to us beyond what is recorded, in ms."
    )
    feed_latency_p99_ms: float | None = _p99("feed_latency_ms")
    entry_latency_ms: float = Field(
        default=10.0, ge=0, le=600_000, description="Time from submit to the venue, in milliseconds."
    )
    entry_latency_p99_ms: float | None = _p99("entry_latency_ms")
    response_latency_ms: float = Field(
        default=10.0, ge=0, le=600_000, description="Time from the venue back to us, in milliseconds."
    )
    response_latency_p99_ms: float | None = _p99("response_latency_ms")
    queue: Literal["risk_averse", "power"] = Field(
        default="risk_averse",
        description="Who leaves the queue when less is displayed: risk_averse (nobody behind us before those in "
        "front) or power (shared between front and back).",
    )
    queue_power: float = Field(
        default=3.0, gt=0, le=100, description="Exponent of the power queue model; more favours the longer part."
    )
    rules: Literal["auto", "binance", "bybit"] = Field(
        default="auto",
        description="Whose error codes and order rules: auto is that of the venue which stated the instruments.",
    )
    self_trade: Literal["none", "expire_taker", "expire_maker", "expire_both"] = Field(
        default="expire_maker",
        description="What ends when own orders would trade with each other; none lets them trade.",
    )
    balance: Decimal = Field(
        default=Decimal(10000), ge=0, description="Wallet balance at the start, in quote units (USDT)."
    )
    leverage: int = Field(
        default=20, ge=1, le=150, description="Leverage of every symbol, as far as its brackets allow it."
    )
    margin_mode: Literal["cross", "isolated"] = Field(
        default="cross", description="cross (one wallet for all positions) or isolated (a wallet for each)."
    )
    brackets: dict[str, list[dict[str, Decimal]]] = Field(
        default_factory=dict,
        description="Maintenance margin brackets by symbol, over those shipped: rows of cap (notional), mmr "
        "(fraction) and max_leverage.",
    )
    liquidation_fee: Decimal = Field(
        default=Decimal("0.0125"), ge=0, lt=1, description="Clearance fee of a liquidation, as a fraction of its value."
    )
    funding: bool = Field(default=True, description="Charge funding at its instants.")
    funding_rate: Decimal | None = Field(
        default=None, gt=-1, lt=1, description="Funding rate of each interval as a fraction; unset: the feed's."
    )
    funding_interval_h: int = Field(
        default=8, ge=1, le=24, description="Hours between two instants, where the feed does not name the next."
    )
    position_mode: Literal["one_way", "hedge"] | None = Field(
        default=None,
        description="one_way (position side BOTH) or hedge (LONG and SHORT apart); unset: engine.position_mode.",
    )
    maker_fee: Decimal | None = Field(
        default=None, gt=-1, lt=1, description="Maker fee as a fraction; negative is a rebate; unset: the instrument's."
    )
    taker_fee: Decimal | None = Field(
        default=None, gt=-1, lt=1, description="Taker fee as a fraction; unset: the instrument's."
    )
    fee_tiers: list[dict[str, Decimal]] = Field(
        default_factory=list,
        description="Fees by own volume of the last 30 days: rows of volume_from, maker and taker; they hold where "
        "maker_fee or taker_fee is unset.",
    )

    def mode(self, hedge: bool | None) -> Literal["one_way", "hedge"]:
        """Position mode of the account.

        Args:
            hedge: whether the program keeps two legs per symbol; None where it does not say.

        Raises:
            ConfigError: ``position_mode`` contradicts the program.
        """
        own = self.position_mode
        if hedge is None:
            return own or "one_way"
        engine: Literal["one_way", "hedge"] = "hedge" if hedge else "one_way"
        if own not in {None, engine}:
            raise ConfigError(
                f"exchanges.paper.position_mode: {own}, but engine.position_mode is {engine}; leave it out to follow "
                "the engine, or set both alike"
            )
        return engine

    @model_validator(mode="after")
    def _check_tables(self) -> Self:
        if self.fee_tiers:
            fees.parse(self.fee_tiers)
        for symbol, rows in self.brackets.items():
            brackets.parse(symbol, rows)
        return self

    @model_validator(mode="after")
    def _check_latencies(self) -> Self:
        for name in ("feed", "entry", "response"):
            median = getattr(self, f"{name}_latency_ms")
            p99 = getattr(self, f"{name}_latency_p99_ms")
            if p99 is not None and not 0 < median <= p99:
                raise ValueError(f"{name}_latency_p99_ms is {p99}: it needs {name}_latency_ms above 0 and at most that")
        return self
