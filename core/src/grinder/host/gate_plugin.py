"""A gate as the host hands it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from grinder.host.judging import Judge
from grinder.settings.plugin import GateSettings


class GatePlugin(msgspec.Struct, frozen=True, kw_only=True):
    """A gate, ready to be compiled into a chain.

    Attributes:
        function: the raw ``pre_order_gate``; pass it ``argnames`` in their order.
        argnames: the arguments that it asked for.
        reasons: codes that its answers may carry, core's included.
        judge: its answer from recorded inputs and settings alone, where it offers one.
    """

    name: str
    distribution: str
    version: str
    function: Callable[..., Any]
    argnames: tuple[str, ...]
    settings: GateSettings
    reasons: frozenset[str]
    judge: Judge | None = None
