"""Settings of the grid strategy."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, model_validator

from grinder import PluginSettings


class GridSettings(PluginSettings):
    """Where the quotes stand, how large they are, how often they move."""

    distance_ticks: int = Field(default=0, ge=0, description="Ticks between the touch and the first quote; 0 joins it.")
    levels: int = Field(default=1, ge=1, le=100, description="Quotes on each side.")
    step_ticks: int = Field(default=1, ge=1, description="Ticks between two quotes of one side.")
    interval_ms: int = Field(
        default=500, ge=0, description="Time between two looks at a symbol, in ms of event time; 0 is every event."
    )
    qty: Decimal | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="Quantity of each quote in base units; or give notional."
    )
    notional: Decimal | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="Value of each quote in quote units; or give qty."
    )
    post_only: bool = Field(default=True, description="Quotes never take liquidity (GTX).")
    requote: Literal["always", "moved"] = Field(
        default="always", description="Replace every quote each time, or only those whose price has changed."
    )
    max_position: Decimal | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Largest position in base units, long or short, that the quotes may lead to; none means no cap.",
    )
    max_notional: Decimal | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Largest position in quote units, long or short, that the quotes may lead to; none means no cap.",
    )

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if self.qty is not None and self.notional is not None:
            raise ValueError("qty and notional are both set; keep one")
        if self.notional is not None and self.max_notional is not None and self.notional > self.max_notional:
            raise ValueError(
                f"notional {self.notional} is above max_notional {self.max_notional}, so nothing would ever be quoted; "
                "raise max_notional"
            )
        return self
