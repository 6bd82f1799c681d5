"""The ccxt bot of the examples, as a process of its own, against a venue on loopback that behaves and misbehaves."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import web

from grinder import OrderState
from grinder.journal.reading import Reader

BOT = Path(__file__).resolve().parents[2] / "docs" / "examples" / "ccxt_bot.py"
SYMBOL = "BTCUSDT"
INFO = {
    "timezone": "UTC",
    "symbols": [
        {
            "symbol": SYMBOL, "pair": SYMBOL, "contractType": "PERPETUAL", "deliveryDate": 4133404800000,
            "onboardDate": 1569398400000, "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
            "marginAsset": "USDT", "pricePrecision": 2, "quantityPrecision": 3, "baseAssetPrecision": 8,
            "quotePrecision": 8, "underlyingType": "COIN", "underlyingSubType": ["PoW"], "triggerProtect": "0.0500",
            "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "556.80", "maxPrice": "4529764", "tickSize": "0.10"},
                {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
                {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "120", "stepSize": "0.001"},
                {"filterType": "MIN_NOTIONAL", "notional": "100"},
                {"filterType": "PERCENT_PRICE", "multiplierUp": "1.05", "multiplierDown": "0.95"},
            ],
        }
    ],
}  # fmt: skip
# Runs the bot with a ccxt that imports this one exchange instead of a hundred; killed, if asked, as it places an order.
HARNESS = """
import importlib, os, runpy, signal, sys
from importlib.util import find_spec, module_from_spec

kill, *sys.argv = sys.argv[1:]
ccxt = sys.modules["ccxt"] = module_from_spec(find_spec("ccxt"))
errors = importlib.import_module("ccxt.base.errors")
vars(ccxt).update({name: getattr(errors, name) for name in errors.__all__})
ccxt.binanceusdm = importlib.import_module("ccxt.binanceusdm").binanceusdm
if kill == "kill":
    ccxt.binanceusdm.create_order = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Venue:
    """The REST endpoints of Binance USD-M that the bot needs.

    ``on_order`` is what the next orders meet: accept, fill, refuse, hang (accepted, never answered), breaks (503).
    """

    def __init__(self) -> None:
        self.on_order = "accept"
        self.queries_fail = False
        self.orders: dict[str, dict] = {}
        self.posts: list[str] = []
        self.trades: list[dict] = []
        self.calls: list[str] = []
        self.closing = asyncio.Event()

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._count])
        nothing = self._answer([])
        app.router.add_get("/sapi/v1/capital/config/getall", nothing)
        app.router.add_get("/sapi/v1/margin/allPairs", nothing)
        app.router.add_get("/fapi/v1/exchangeInfo", self._answer(INFO))
        app.router.add_get("/fapi/v1/depth", self._depth)
        app.router.add_post("/fapi/v1/order", self._place)
        app.router.add_get("/fapi/v1/order", self._query)
        app.router.add_get("/fapi/v1/openOrders", self._open)
        app.router.add_get("/fapi/v1/userTrades", self._user_trades)
        app.router.add_get("/fapi/v1/leverageBracket", nothing)
        app.router.add_get("/fapi/{version}/positionRisk", self._positions)
        app.router.add_get("/fapi/{version}/account", self._account)
        app.router.add_get("/fapi/{version}/balance", self._balance)
        return app

    @web.middleware
    async def _count(self, request, handler):
        self.calls.append(f"{request.method} {request.path}")
        return await handler(request)

    @staticmethod
    def _answer(body):
        async def answer(_request):
            return web.json_response(body)

        return answer

    async def _depth(self, _request):
        now = time.time_ns() // 1_000_000  # noqa: TID251 - this is a venue
        bids = [[f"{60000 - step / 10:.2f}", "5.000"] for step in range(5)]
        asks = [[f"{60000.1 + step / 10:.2f}", "5.000"] for step in range(5)]
        return web.json_response({"lastUpdateId": now, "E": now, "T": now, "bids": bids, "asks": asks})

    async def _place(self, request):
        given = dict(request.query) | dict(await request.post())
        client_id = given["newClientOrderId"]
        self.posts.append(client_id)
        if self.on_order == "refuse":
            return web.json_response({"code": -2010, "msg": "NEW_ORDER_REJECTED"}, status=400)
        if self.on_order == "breaks":
            return web.Response(status=503, text="Unknown error, please check your request or try again later.")
        now = time.time_ns() // 1_000_000  # noqa: TID251 - this is a venue
        order = {
            "orderId": 1000 + len(self.orders), "clientOrderId": client_id, "symbol": SYMBOL, "status": "NEW",
            "side": given["side"], "type": given["type"], "origType": given["type"], "price": given["price"],
            "origQty": given["quantity"], "executedQty": "0", "cumQty": "0", "cumQuote": "0", "avgPrice": "0.00",
            "timeInForce": given["timeInForce"], "reduceOnly": False, "closePosition": False, "positionSide": "BOTH",
            "stopPrice": "0", "workingType": "CONTRACT_PRICE", "priceProtect": False, "updateTime": now, "time": now,
        }  # fmt: skip
        self.orders[client_id] = order
        if self.on_order == "fill":
            self.fill(client_id)
        if self.on_order == "hang":
            await self.closing.wait()
        return web.json_response(order)

    def fill(self, client_id: str) -> None:
        order = self.orders[client_id]
        order |= {"status": "FILLED", "executedQty": order["origQty"], "avgPrice": order["price"]}
        now = time.time_ns() // 1_000_000  # noqa: TID251 - this is a venue
        self.trades.append(
            {
                "id": 500 + len(self.trades), "orderId": order["orderId"], "symbol": SYMBOL, "side": order["side"],
                "price": order["price"], "qty": order["origQty"], "quoteQty": "120", "realizedPnl": "0",
                "commission": "0.024", "commissionAsset": "USDT", "maker": True, "buyer": True, "positionSide": "BOTH",
                "time": now,
            }
        )  # fmt: skip

    async def _query(self, request):
        if self.queries_fail:
            return web.Response(status=502, text="<html>Bad Gateway</html>")
        order = self.orders.get(request.query["origClientOrderId"])
        if order is None:
            return web.json_response({"code": -2013, "msg": "Order does not exist."}, status=400)
        return web.json_response(order)

    async def _open(self, _request):
        return web.json_response([order for order in self.orders.values() if order["status"] == "NEW"])

    async def _user_trades(self, request):
        since = int(request.query.get("startTime", 0))
        return web.json_response([trade for trade in self.trades if trade["time"] >= since])

    @property
    def position(self) -> Decimal:
        return sum((Decimal(trade["qty"]) for trade in self.trades), Decimal(0))

    async def _positions(self, _request):
        held = {
            "symbol": SYMBOL, "positionSide": "BOTH", "positionAmt": str(self.position), "entryPrice": "60000.0",
            "breakEvenPrice": "60000.0", "markPrice": "60000.0", "unRealizedProfit": "0", "liquidationPrice": "0",
            "isolatedMargin": "0", "notional": str(self.position * 60000), "marginAsset": "USDT", "isolatedWallet": "0",
            "initialMargin": "0", "maintMargin": "0", "positionInitialMargin": "0", "openOrderInitialMargin": "0",
            "adl": 0, "bidNotional": "0", "askNotional": "0", "updateTime": 1,
        }  # fmt: skip
        return web.json_response([held] if self.position else [])

    async def _account(self, _request):
        asset = {
            "asset": "USDT", "walletBalance": "10000", "marginBalance": "10000", "availableBalance": "10000",
            "initialMargin": "0", "maintMargin": "0", "updateTime": 1,
        }  # fmt: skip
        return web.json_response({"assets": [asset], "positions": []})

    async def _balance(self, _request):
        return web.json_response([{"asset": "USDT", "balance": "10000", "availableBalance": "10000"}])


@pytest.fixture
def venue():
    made = Venue()
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(made.app(), access_log=None, shutdown_timeout=0)
    started = threading.Event()

    def serve():
        asyncio.set_event_loop(loop)
        loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        loop.run_until_complete(site.start())
        made.port = runner.addresses[0][1]
        started.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    started.wait(10)
    yield made
    loop.call_soon_threadsafe(made.closing.set)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


class Bot:
    """Runs the example against the venue, with one data directory."""

    def __init__(self, folder: Path, venue: Venue) -> None:
        self.state = folder / "state"
        self.config = folder / "ccxt.json"
        base = f"http://127.0.0.1:{venue.port}"
        versions = {"": "v1", "V2": "v2", "V3": "v3"}
        urls = {
            f"fapi{kind}{v}": f"{base}/fapi/{path}" for kind in ("Public", "Private") for v, path in versions.items()
        }
        urls |= {"sapi": f"{base}/sapi/v1"}
        given = {"apiKey": "key", "secret": "secret", "timeout": 700, "enableRateLimit": False, "pause_s": 0.05,
                 "urls": {"api": urls}}  # fmt: skip
        self.config.write_text(json.dumps(given))

    def run(self, rounds: int, kill: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        chosen = {"WARM_UP__SECONDS": "0", **settings}
        environ = {key: value for key, value in os.environ.items() if not key.startswith("GRINDER_")}
        environ |= {f"GRINDER_PLUGINS__{key}": value for key, value in chosen.items() if "VISIBILITY" not in key}
        environ["GRINDER_ENGINE__VISIBILITY_LAG_MS"] = settings.get("VISIBILITY_LAG_MS", "5000")
        command = [sys.executable, "-c", HARNESS, kill, str(BOT), str(self.config), str(self.state), str(rounds)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ)

    @contextmanager
    def journal(self):
        with Reader.open(self.state) as reader:
            yield reader

    def order(self, client_id: str):
        with self.journal() as journal:
            return journal.order(client_id)


@pytest.fixture
def bot(tmp_path, venue):
    return Bot(tmp_path, venue)


def test_an_allowed_order_arrives_under_our_client_id_and_its_fill_counts_once(bot, venue):
    venue.on_order = "fill"
    done = bot.run(1)
    assert done.returncode == 0, done.stderr
    (client_id,) = venue.posts
    assert client_id.startswith("grinder_")
    assert bot.order(client_id).state is OrderState.OPEN, "the fill is not known yet"
    venue.on_order = "refuse"
    done = bot.run(2)  # a restart: finds the order, its fill, and goes on
    assert done.returncode == 0, done.stderr
    assert "synced, 0 differences" in done.stdout
    assert bot.order(client_id).state is OrderState.FILLED
    with bot.journal() as journal:
        (fill,) = journal.fills()
    assert (fill.trade_id, fill.qty, fill.client_id) == ("500", Decimal("0.002"), client_id)
    states = {bot.order(refused).state for refused in venue.posts[1:]}
    assert states == {OrderState.REJECTED}


def test_a_blocked_order_never_reaches_the_venue(bot, venue):
    done = bot.run(3, WARM_UP__SECONDS="90")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("blocked WARMUP") == 3
    assert venue.posts == []
    assert "POST /fapi/v1/order" not in venue.calls


@pytest.mark.parametrize("failure", ["hang", "breaks"])
def test_an_order_without_an_answer_stays_unknown_is_not_sent_again_and_is_found_after_a_restart(bot, venue, failure):
    venue.on_order, venue.queries_fail = failure, True
    done = bot.run(4)
    assert done.returncode == 0, done.stderr
    (client_id,) = venue.posts
    assert bot.order(client_id).state is OrderState.UNKNOWN
    if failure == "breaks":
        return  # it never arrived; that it takes proof to say so is shown below
    venue.on_order, venue.queries_fail = "accept", False
    venue.fill(client_id)  # while nobody looked
    done = bot.run(1)
    assert done.returncode == 0, done.stderr
    assert bot.order(client_id).state is OrderState.FILLED
    assert "synced, 0 differences" in done.stdout
    assert venue.posts.count(client_id) == 1


def test_killed_between_decision_and_order_the_intent_is_known_counted_and_proven_absent(bot, venue):
    done = bot.run(1, "kill")
    assert done.returncode == -9, done.stderr
    assert venue.posts == []
    with bot.journal() as journal:
        ((client_id, order),) = journal.open_orders().items()
    assert order.state is OrderState.INTENT
    venue.queries_fail = True
    done = bot.run(2)
    assert done.returncode == 0, done.stderr
    assert venue.posts == [], "it counts, so that no second order is placed while its fate is not known"
    venue.queries_fail = False
    done = bot.run(12, VISIBILITY_LAG_MS="200")
    assert done.returncode == 0, done.stderr
    assert bot.order(client_id).state is OrderState.ABSENT
    assert len(venue.posts) == 1, "a new intent has passed the gates"
    assert client_id not in venue.posts
