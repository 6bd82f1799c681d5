"""Settings of the warm-up gate."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from grinder import GateSettings


class WarmUpSettings(GateSettings):
    """How long market data must have been healthy before new risk is taken."""

    THRESHOLD: ClassVar[str] = "seconds"
    THRESHOLD_UNIT: ClassVar[str] = "s"

    seconds: float = Field(
        default=90.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds for which the symbol's market data must have been healthy without a break.",
    )
