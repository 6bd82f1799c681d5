"""The page about the gatekeeper does what it says, and names every call."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from grinder import Gatekeeper, OrderState
from grinder.journal.reading import Reader

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "how-to" / "your-own-bot.md").read_text()
MARKET = {
    "id": "BTCUSDT", "base": "BTC", "quote": "USDT", "contractSize": 1.0, "precision": {"price": 0.1, "amount": 0.001},
    "limits": {"cost": {"min": 100}},
}  # fmt: skip


class Refused(Exception):  # noqa: N818 - stands for ccxt's InsufficientFunds
    """What the fake venue raises."""


class Exchange:
    """As much of ccxt as the page uses."""

    error: Exception | None = None

    def __init__(self, config):
        self.sent: list[tuple] = []
        made.append(self)

    def load_markets(self):
        return {"BTC/USDT:USDT": MARKET}

    def fetch_order_book(self, symbol, limit):
        return {"bids": [[60000.0, 5.0, 0]], "asks": [[60000.1, 5.0, 0]]}

    def create_order(self, *given):
        self.sent.append(given)
        if self.error is not None:
            raise self.error
        return {"id": "77"}


made: list[Exchange] = []


@pytest.mark.parametrize(
    ("error", "state"),
    [(None, OrderState.OPEN), (Refused("no"), OrderState.REJECTED), (OSError("reset"), OrderState.UNKNOWN)],
)
def test_the_snippet_sends_what_was_decided_and_reports_what_became_of_it(tmp_path, monkeypatch, error, state):
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRINDER_PLUGINS__WARM_UP__SECONDS", "0")
    monkeypatch.setattr(Exchange, "error", error)
    monkeypatch.setitem(sys.modules, "ccxt", SimpleNamespace(binanceusdm=Exchange, InsufficientFunds=Refused))
    exec(snippet, {})  # noqa: S102 - the page's own code
    ((symbol, kind, side, qty, price, extra),) = made[-1].sent
    assert (symbol, kind, side, qty, price) == ("BTC/USDT:USDT", "limit", "buy", "0.002", "60000")
    with Reader.open(tmp_path / "state") as journal:
        assert journal.order(extra["clientOrderId"]).state is state


def test_every_call_is_on_the_page_and_in_the_reference():
    reference = (DOCS / "reference" / "api.md").read_text()
    for name, _ in inspect.getmembers(Gatekeeper, callable):
        if not name.startswith("_"):
            assert f"| `{name}(" in reference
            if name not in {"from_settings", "close"}:
                assert re.search(rf"[`.(]{name}[`(]|`{name}\b", PAGE), name


def test_the_example_is_where_the_page_says():
    assert (DOCS / "examples" / "ccxt_bot.py").is_file()
