"""An exception in the middle of a call, as a signal handler or Ctrl-C raises it: the journal is right, nobody hangs."""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
from decimal import Decimal

import pytest

from grinder import OrderState, PositionSide, VenuePosition
from grinder.engine.door import Door
from grinder.journal.reading import Reader

SYMBOL = "BTCUSDT"
WATCHED = tuple(f"/grinder/{part}.py" for part in (
    "engine/door", "engine/post", "engine/settlement", "engine/account", "engine/booking", "engine/executor",
    "journal/store", "journal/ledger",
))  # fmt: skip


class Interruption(BaseException):
    """What the signal handler raises."""


class Interrupt:
    """Raises at the n-th place where Python would look for signals: the start of a function, the end of a C call."""

    def __init__(self, place: int) -> None:
        self.left = place
        self.passed = 0

    def __enter__(self):
        sys.setprofile(self._look)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)

    def _look(self, frame, event, _):
        if event in {"call", "c_return"} and frame.f_code.co_filename.endswith(WATCHED):
            self.passed += 1
            if self.passed == self.left:
                sys.setprofile(None)
                raise Interruption


def on_another_thread(call):
    """The result, or a failure when the call hangs."""
    results = []
    thread = threading.Thread(target=lambda: results.append(call()), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it waits for ever"
    return results[0]


class Program:
    """Orders from the decision to the fill, one after another; it opens its gatekeeper again when that asks for it."""

    def __init__(self, desk, place) -> None:
        self.desk, self.place = desk, place
        self.client_id = ""
        self.open()

    def open(self) -> None:
        self.keeper = self.desk.open(ready=False)
        position = VenuePosition(SYMBOL, PositionSide.BOTH, self.keeper.position(SYMBOL).qty, Decimal(59990))
        for order in self.keeper.open_orders():
            self.keeper.cancelled(order.client_id)
        self.keeper.sync(balance=10_000_000, positions=[position], open_orders=[])
        self.desk.tick()

    def check(self) -> None:
        self.client_id = self.keeper.check(self.place.buy()).client_id

    def accept(self) -> None:
        self.keeper.accepted(self.client_id, f"v-{self.client_id}")

    def fill(self) -> None:
        self.keeper.filled(
            trade_id=self.client_id, symbol=SYMBOL, side="BUY", price="59990", qty="0.01", client_id=self.client_id
        )

    def pay(self) -> None:
        self.keeper.paid(payment_id=self.client_id, symbol=SYMBOL, amount="1.5")

    def durable(self, step: str) -> int:
        """How often the journal holds what a step reported."""
        with Reader.open(self.desk.folder) as journal:
            if step == "accept":
                return int(journal.order(self.client_id).state is OrderState.OPEN)
            if step == "fill":
                assert journal.order(self.client_id).state is OrderState.FILLED
                return sum(fill.trade_id == self.client_id for fill in journal.fills())
            return sum(payment.payment_id == self.client_id for payment in journal.payments())


STEPS = {"check": 1, "accept": 1, "fill": 2, "pay": 2}
"""Calls, and how many places apart each is interrupted."""


@pytest.fixture
def program(desk, place):
    return Program(desk, place)


def takes_no_new_risk(program) -> None:
    keeper, place = program.keeper, program.place
    status = keeper.status()
    assert (status.blocked_by, "open it again" in status.reopen) == ("CALL_INTERRUPTED", True)
    assert keeper.check(place.buy()).reason == "CALL_INTERRUPTED"
    assert keeper.check(place.sell(qty="0.001", reduce_only=True)).allowed


@pytest.mark.parametrize("step", STEPS)
def test_wherever_a_call_is_interrupted(program, step):
    """What calls said is durable is in the journal, once; nobody hangs; no new risk until it was opened again."""
    broke = tried = 0
    for place in itertools.count(1, STEPS[step]):
        tried += 1
        for before in tuple(STEPS)[: tuple(STEPS).index(step)]:
            getattr(program, before)()
        held = program.keeper.position(SYMBOL).qty
        try:
            with Interrupt(place):
                getattr(program, step)()
        except Interruption:
            pass
        else:
            break
        broken = bool(on_another_thread(program.keeper.status).reopen)
        if broken:
            takes_no_new_risk(program)
        if step == "check":
            program.check()
        else:
            getattr(program, step)()  # the program says it again
            assert program.durable(step) == 1
        if broken:
            broke += 1
            takes_no_new_risk(program)
            on_another_thread(program.keeper.close)
            program.open()
            assert program.keeper.position(SYMBOL).qty == held + Decimal("0.01") * (step == "fill")
        assert not program.keeper.status().reopen
    assert tried > broke > tried / 2, "most places are in the middle of a change, and some are before it"


@pytest.mark.parametrize("place", range(1, 30))
def test_an_interrupted_close_is_called_again(desk, place):
    """The data directory is given back in the end, whatever was interrupted."""
    keeper = desk.open()
    with contextlib.suppress(Interruption), Interrupt(place):
        keeper.close()
    on_another_thread(keeper.close)
    desk.open().close()


def test_a_call_that_was_interrupted_before_it_changed_anything_breaks_nothing(desk, place):
    keeper = desk.open()

    def levels():
        yield ("60000", "1")
        raise Interruption

    with pytest.raises(Interruption):
        keeper.book(SYMBOL, levels(), [])
    assert not keeper.status().reopen
    assert keeper.check(place.buy()).allowed


def test_a_door_that_was_left_without_being_closed_opens_for_other_threads():
    door = Door()

    def call():
        with door:
            door.changing = True

    for place in itertools.count(1):
        try:
            with Interrupt(place):
                call()
        except Interruption:
            on_another_thread(call)
            call()
        else:
            break
    assert place > 10
    assert door.broken
