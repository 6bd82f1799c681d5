"""A bare ccxt bot on Binance USD-M that asks grinder before every order.

It keeps one bid at the touch. Install with ``pip install grinder-core grinder-policies ccxt`` and the gates that you
switch on, then run ``python ccxt_bot.py CCXT.json DATA_DIR [ROUNDS]``. The file goes to ccxt's constructor as it is
(apiKey, secret, timeout), the folder keeps the journal. Settings come from the environment, as for ``grinder run``.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from decimal import Decimal
from pathlib import Path

import ccxt

from grinder import (
    CallError,
    Gatekeeper,
    OrderIntent,
    PositionSide,
    Side,
    TimeInForce,
    VenueOrder,
    VenuePosition,
    instrument_from_ccxt,
)

SYMBOL = "BTC/USDT:USDT"
QTY = Decimal("0.002")
STATES = {"open": "OPEN", "closed": "FILLED", "canceled": "CANCELLED", "expired": "EXPIRED", "rejected": "REJECTED"}
# Only these prove that the venue does not have the order. Timeouts, 5xx and every other error prove nothing.
REFUSED = (ccxt.InsufficientFunds, ccxt.InvalidOrder, ccxt.OperationRejected, ccxt.BadSymbol, ccxt.PermissionDenied,
           ccxt.AuthenticationError)  # fmt: skip
DUPLICATE = (ccxt.DuplicateOrderId, ccxt.OrderNotFound)  # kinds of InvalidOrder, and no refusals


class Bot:
    def __init__(self, exchange, data_dir):
        self.exchange = exchange
        market = exchange.load_markets()[SYMBOL]
        self.id = market["id"]
        self.keeper = Gatekeeper.from_settings(
            data_dir=data_dir,
            overrides={"exchange.venue": "binance"},
            instruments=[instrument_from_ccxt(market, precision_mode=exchange.precisionMode)],
        )

    def run(self, rounds, pause_s):
        with self.keeper:
            next_sync = 0
            for number in itertools.count() if rounds is None else range(rounds):
                try:
                    self.feed()
                    self.resolve()
                    if number >= next_sync:  # at the start, and then about once a minute
                        self.sync()
                        next_sync = number + 60
                    if not self.keeper.open_orders():
                        self.place()
                except ccxt.BaseError as error:  # a read failed: nothing is known, nothing was sent
                    print(f"read failed: {type(error).__name__}")
                time.sleep(pause_s)

    def feed(self):
        book = self.exchange.fetch_order_book(SYMBOL, 20)
        self.keeper.book(self.id, book["bids"], book["asks"])

    def place(self):
        bid = Decimal(str(self.exchange.fetch_order_book(SYMBOL, 5)["bids"][0][0]))
        decision = self.keeper.check(
            OrderIntent(symbol=self.id, side=Side.BUY, qty=QTY, price=bid, tif=TimeInForce.GTX, origin="ccxt_bot")
        )
        print(f"{decision.outcome} {decision.reason} {decision.client_id}")
        if not decision.allowed:
            return
        extra = {"clientOrderId": decision.client_id, "timeInForce": decision.intent.tif.value}
        if decision.reduce_only:
            extra["reduceOnly"] = True
        try:
            side, price = decision.intent.side.value.lower(), str(decision.price)
            order = self.exchange.create_order(SYMBOL, "limit", side, str(decision.qty), price, extra)
        except Exception as error:  # noqa: BLE001 - whatever it is, the order may have arrived
            cause = f"{type(error).__name__}: {error}"
            if isinstance(error, REFUSED) and not isinstance(error, DUPLICATE) and "-4116" not in cause:
                self.keeper.rejected(decision.client_id, type(error).__name__, cause)
            else:
                self.keeper.unknown(decision.client_id, cause)  # and never send it again
            print(cause[:120])
        else:
            self.keeper.accepted(decision.client_id, order["id"])

    def resolve(self):
        """Ask what became of orders in doubt; then count the trades; then say what was found."""
        found = {}
        for order in self.keeper.unknown_orders():
            try:
                answer = self.exchange.fetch_order("", SYMBOL, {"origClientOrderId": order.client_id})
            except ccxt.OrderNotFound:
                resting = {each["clientOrderId"] for each in self.exchange.fetch_open_orders(SYMBOL)}
                if order.client_id not in resting and order.state == "UNKNOWN":
                    self.keeper.absent(order.client_id)
                continue
            self.keeper.accepted(order.client_id, answer["id"])
            found[order.client_id] = answer
        self.count_trades()
        for client_id, answer in found.items():
            self.keeper.found(client_id, state=STATES[answer["status"]], filled_qty=answer["filled"])

    def count_trades(self):
        since = self.keeper.trades_since_ns(self.id) // 1_000_000
        if not since:
            return  # the first start: what the account holds is in the first statement
        try:
            for trade in self.exchange.fetch_my_trades(SYMBOL, since, 1000):
                raw = trade["info"]  # the venue's own digits
                self.keeper.filled(
                    trade_id=trade["id"],
                    symbol=self.id,
                    side=trade["side"],
                    price=raw["price"],
                    qty=raw["qty"],
                    venue_order_id=trade["order"],
                    fee=raw["commission"],
                    fee_asset=raw["commissionAsset"],
                    maker=trade["takerOrMaker"] == "maker",
                    ts_ns=trade["timestamp"] * 1_000_000,
                )
        except CallError as error:  # it belongs to an order that is still in doubt; it is reported again next time
            print(error)

    def sync(self):
        positions = [
            VenuePosition(
                each["info"]["symbol"], PositionSide.BOTH, each["info"]["positionAmt"], each["entryPrice"] or 0
            )
            for each in self.exchange.fetch_positions([SYMBOL])
        ]
        orders = [
            VenueOrder(self.id, each["clientOrderId"], each["id"], Side(each["side"].upper()), each["price"] or 0,
                       each["amount"], each["filled"], bool(each["reduceOnly"]))
            for each in self.exchange.fetch_open_orders(SYMBOL)
        ]  # fmt: skip
        balance = self.exchange.fetch_balance()["USDT"]["total"]
        report = self.keeper.sync(balance=balance, positions=positions, open_orders=orders)
        print(f"synced, {len(report.mismatches)} differences")


if __name__ == "__main__":
    if len(sys.argv) < 3 or not Path(sys.argv[1]).is_file():
        sys.exit("usage: python ccxt_bot.py CCXT.json DATA_DIR [ROUNDS]")
    config = json.loads(Path(sys.argv[1]).read_text())
    pause_s = config.pop("pause_s", 1.0)
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else None
    Bot(ccxt.binanceusdm(config), sys.argv[2]).run(rounds, pause_s)
