"""What every plugin's settings have. A plugin subclasses one of these and documents its own fields."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from grinder.decisions import Mode


class Section(BaseModel):
    """A group of settings: immutable, documented, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class PluginSettings(Section):
    """Settings of any plugin under ``plugins.<name>``."""

    enabled: bool = Field(default=False, description="Load and use the plugin.")


class FaultBreakerSettings(Section):
    """Stops calling a gate that keeps failing (exceptions, wrong answers, overruns when live)."""

    window_s: float = Field(default=60.0, gt=0, description="Length of the window in seconds, on the injected clock.")
    minimum_calls: int = Field(default=20, ge=1, description="Calls in the window before the breaker may open.")
    max_fault_pct: int = Field(default=50, ge=1, le=100, description="Opens above this share of faults, in percent.")
    open_s: float = Field(default=30.0, gt=0, description="Stays open this long before it probes, in seconds.")
    probes: int = Field(default=3, ge=1, description="Calls in a row that must succeed before it closes.")


class VerdictBreakerSettings(Section):
    """Bypasses a gate that blocks far more than it should. It raises risk, so it is off unless switched on."""

    enabled: bool = Field(default=False, description="Opt in to the bypass.")
    window_s: float = Field(default=300.0, gt=0, description="Length of the window in seconds.")
    minimum_calls: int = Field(default=20, ge=1, description="Decisions in the window before it may open.")
    max_block_pct: int = Field(default=50, ge=1, le=100, description="Opens above this share of blocks; 100 never.")
    open_s: float = Field(default=300.0, gt=0, description="Stays open this long before it probes, in seconds.")
    probes: int = Field(default=3, ge=1, description="Decisions in shadow that must not block before it closes.")


class BreakerSettings(Section):
    """The two breakers of a gate; they are never mixed."""

    fault: FaultBreakerSettings = FaultBreakerSettings()
    verdict: VerdictBreakerSettings = VerdictBreakerSettings()


class GateSettings(PluginSettings):
    """Settings of a gate. Subclass it, add fields, and name in ``THRESHOLD`` the field that can be resolved.

    The host passes the gate its settings for the order's symbol, the threshold already resolved.
    ``VERDICT_BREAKER`` True offers the bypass of the verdict breaker: only for gates whose purpose is economic.
    """

    THRESHOLD: ClassVar[str] = ""
    THRESHOLD_UNIT: ClassVar[str] = ""
    VERDICT_BREAKER: ClassVar[bool] = False

    mode: Mode = Field(default=Mode.SHADOW, description="off, shadow (recorded, never binding) or enforce.")
    symbols: tuple[str, ...] = Field(
        default=(), description="Enforce for these symbols only, others stay in shadow; empty means all."
    )
    on_error: Literal["block", "allow"] = Field(
        default="block", description="What a fault of the gate, or missing or stale input, does to new risk."
    )
    budget_us: int = Field(default=1000, ge=1, description="Longest time that one call may take, in microseconds.")
    breaker: BreakerSettings = BreakerSettings()
