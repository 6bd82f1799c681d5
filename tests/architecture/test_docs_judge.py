"""The gate that the reference of hooks shows under ``judge`` is one that conforms."""

from __future__ import annotations

import re
from pathlib import Path

from grinder.host.loading import load_file
from grinder.testing import Status, conform

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "hooks.md"

AROUND = """
from __future__ import annotations

from collections.abc import Mapping
from math import inf

from pydantic import Field

from grinder import Allow, Block, GateSettings, Input, MarketView, OrderIntent, Verdict, hookimpl

GRINDER_API = ">=1.0,<2"
REASONS = {"ACME_SPREAD_WIDE": "The spread is above plugins.acme_spread.max_spread_bps."}


class SpreadSettings(GateSettings):
    max_spread_bps: float = Field(default=5.0, gt=0, description="Widest spread, in basis points.")


@hookimpl
def register_settings() -> type[SpreadSettings]:
    return SpreadSettings


"""


def test_the_gate_under_judge_conforms(tmp_path):
    section = PAGE.read_text(encoding="utf-8").partition("\n## judge\n")[2].partition("\n## ")[0]
    (example,) = (block for block in re.findall(r"```python\n(.*?)```", section, re.DOTALL) if "@hookimpl" in block)
    path = tmp_path / "acme_spread.py"
    path.write_text(AROUND + example, encoding="utf-8")
    results = conform(load_file("grinder_plugins_dir.acme_spread", str(path)), name="acme_spread")
    assert [str(result) for result in results if result.status is Status.FAIL] == []
    assert {each.case for each in results if each.status is Status.PASS} >= {"GC12", "GC14", "GC18", "GC22"}
