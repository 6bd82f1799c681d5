"""Stands for the exchange that a program trades on by itself: nothing is sent from here, and nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence

from grinder.decisions import Admitted
from grinder.exchange import ExchangeContext, Update


class Outside:
    """Implements ``Exchange`` for orders that somebody else sends and reports on."""

    def __init__(self, venue: str, account: str) -> None:
        self.venue = venue
        self.account = account

    def start(self, context: ExchangeContext) -> None:
        """Nothing has to be connected."""

    def submit(self, order: Admitted) -> None:
        """The program sends it.

        Raises:
            RuntimeError: always; it means that the engine mistook the program's venue for one of its own.
        """
        raise RuntimeError(f"{order} is for the program to send")

    def poll(self) -> Sequence[Update]:
        """The program reports what becomes known."""
        return ()

    def query(self, symbol: str, client_id: str) -> None:
        """The program asks."""

    def request_snapshot(self) -> None:
        """The program states what the venue holds."""

    def stop(self) -> None:
        """Nothing is open."""
