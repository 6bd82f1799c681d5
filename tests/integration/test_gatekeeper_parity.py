"""A gatekeeper that is fed what a run saw, and told what its venue said, makes the same decisions, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grinder import (
    Accepted,
    Amended,
    Cancelled,
    CancelRejected,
    Filled,
    Gatekeeper,
    ManualClock,
    MarketEvent,
    OrderIntent,
    Paid,
    Rejected,
    Triggered,
    Unknown,
)
from grinder.engine.executor import Executor
from grinder.engine.options import RunOptions
from grinder.engine.session import Session
from grinder.engine.settlement import Settlement
from grinder.exchange import ExchangeSnapshot, Update
from grinder.market.state import MarketState

Step = tuple[int, MarketEvent | OrderIntent | Update]


@pytest.fixture(scope="module")
def patched() -> Iterator[list[Step]]:
    """What every run from now on sees, wants and hears, in order, with its time."""
    steps: list[Step] = []
    with pytest.MonkeyPatch.context() as patch:
        apply, decide, settle = MarketState.apply, Executor._decide, Settlement.apply

        def on_market(self, event):
            steps.append((self.now_ns, event))
            apply(self, event)

        def on_intent(self, intent, now):
            steps.append((now, intent))
            return decide(self, intent, now)

        def on_update(self, venue, update):
            steps.append((self._clock.now_ns(), update))
            settle(self, venue, update)

        patch.setattr(MarketState, "apply", on_market)
        patch.setattr(Executor, "_decide", on_intent)
        patch.setattr(Settlement, "apply", on_update)
        yield steps


def run(out: Path, seed: int, overrides: tuple[str, ...]) -> None:
    options = RunOptions(seed=seed, out=out, duration=12_000_000_000, overrides=overrides)
    Session.open(options).run()


def replay(steps: list[Step], out: Path, seed: int, overrides: tuple[str, ...]) -> None:
    """The same, given to a gatekeeper by a program."""
    clock = ManualClock()
    with Gatekeeper.from_settings(data_dir=out, seed=seed, clock=clock, overrides=overrides) as keeper:
        for now, step in steps:
            clock.set(now)
            if isinstance(step, OrderIntent):
                keeper.check(step)
            elif isinstance(step, MarketEvent):
                keeper.on_market(step)
            else:
                report(keeper, step)


def fills(out: Path) -> list[dict]:
    """The fills, but for the name of the account, which is the program's."""
    rows = [msgspec.json.decode(line) for line in (out / "fills.jsonl").read_bytes().splitlines()]
    return [row | {"account": ""} for row in rows]


def report(keeper: Gatekeeper, update: Update) -> None:  # noqa: C901 - one case for each update
    match update:
        case ExchangeSnapshot():
            keeper.sync(balance=update.balance, positions=update.positions or ())
        case Accepted():
            keeper.accepted(update.client_id, update.venue_order_id)
        case Rejected():
            keeper.rejected(update.client_id, update.code, update.text)
        case Cancelled():
            keeper.cancelled(update.client_id, update.reason)
        case CancelRejected():
            keeper.cancel_rejected(update.client_id, update.code, update.text, request_id=update.request_id)
        case Amended():
            keeper.amended(update.client_id, qty=update.qty, price=update.price, request_id=update.request_id)
        case Unknown():
            keeper.unknown(update.client_id, update.cause)
        case Filled(fill):
            known = {"fee": fill.fee, "fee_asset": fill.fee_asset, "maker": fill.maker, "ts_ns": fill.exchange_ns,
                     "cause": fill.cause}  # fmt: skip
            keeper.filled(trade_id=fill.trade_id, symbol=fill.symbol, side=fill.side, price=fill.price, qty=fill.qty,
                          client_id=fill.client_id, **known)  # fmt: skip
        case Triggered():
            keeper.triggered(update.client_id, update.venue_order_id)
        case Paid(payment):
            keeper.paid(payment_id=payment.payment_id, symbol=payment.symbol, amount=payment.amount, kind=payment.kind,
                        asset=payment.asset, ts_ns=payment.at_ns)  # fmt: skip
        case _:
            raise AssertionError(update)


@given(
    seed=st.integers(0, 50),
    seconds=st.sampled_from([0, 1, 3]),
    alpha=st.sampled_from([0.1, 1.5, 300.0]),
    mode=st.sampled_from(["enforce", "shadow"]),
    cap=st.sampled_from([1, 50]),
    post_only=st.booleans(),
)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_market_and_intents_give_the_same_records(patched, seed, seconds, alpha, mode, cap, post_only):  # noqa: PLR0917
    overrides = (
        f"plugins.warm_up.seconds={seconds}",
        f"plugins.liquidity_by_side.alpha={alpha}",
        f"plugins.liquidity_by_side.mode={mode}",
        f"engine.max_in_flight={cap}",
        f"exchange.post_only={str(post_only).lower()}",
    )
    with TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "keeper", Path(folder) / "run"
        patched.clear()
        run(theirs, seed, overrides)
        replay(list(patched), ours, seed, overrides)
        decisions = (theirs / "decisions.jsonl").read_bytes()
        assert decisions.count(b"\n") > 20
        assert (ours / "decisions.jsonl").read_bytes() == decisions
        assert fills(ours) == fills(theirs)
