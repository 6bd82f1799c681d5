"""Orders whose fate is not known, and when to ask the venue about them."""

from __future__ import annotations

from typing import Final

NEVER: Final = 1 << 62


class _Doubt:
    __slots__ = ("ask_at", "asked_at", "first_absent", "symbol")

    def __init__(self, symbol: str, ask_at: int) -> None:
        self.symbol = symbol
        self.ask_at = ask_at
        self.asked_at = 0
        self.first_absent: int | None = None


class Doubts:
    """Asks at once and then every visibility lag, until the order is found or its absence is proven.

    Venues show an order late. So absence is proven by an answer to a question that was asked at least ``lag_ns``
    after another answer had already said so; answers that were merely slow to arrive prove nothing.
    """

    def __init__(self, lag_ns: int) -> None:
        self._lag = lag_ns
        self._doubts: dict[str, _Doubt] = {}
        self.due_ns = NEVER

    def __len__(self) -> int:
        """Orders in doubt."""
        return len(self._doubts)

    def __contains__(self, client_id: str) -> bool:
        """Whether an order is asked about."""
        return client_id in self._doubts

    def asked(self, client_id: str, now: int) -> None:
        """Somebody else asks the venue about an order that is in doubt."""
        self._doubts[client_id].asked_at = now

    def shown_by(self, client_id: str) -> int:
        """What reached the venue by this moment (ns) is in its answer to the latest question about an order."""
        doubt = self._doubts.get(client_id)
        return 0 if doubt is None else self.visible(doubt.asked_at)

    def visible(self, asked_ns: int) -> int:
        """What reached the venue by this moment (ns) is in its answer to a question of ``asked_ns``."""
        return asked_ns - self._lag

    def add(self, client_id: str, symbol: str, now: int) -> None:
        """Begin to ask about an order; one that is asked about already keeps its times."""
        if client_id not in self._doubts:
            self._doubts[client_id] = _Doubt(symbol, now)
            self.due_ns = min(self.due_ns, now)

    def settled(self, client_id: str) -> None:
        """Stop asking."""
        if self._doubts.pop(client_id, None) is not None:
            self._reckon()

    def due(self, now: int) -> list[tuple[str, str]]:
        """``(client_id, symbol)`` to ask about now; the next time is one lag later."""
        asked = []
        for client_id, doubt in self._doubts.items():
            if doubt.ask_at <= now:
                doubt.asked_at = now
                doubt.ask_at = now + self._lag
                asked.append((client_id, doubt.symbol))
        self._reckon()
        return asked

    def absent(self, client_id: str, now: int) -> bool:
        """The venue did not know the order. True when that proves its absence."""
        doubt = self._doubts.get(client_id)
        if doubt is None:
            return False
        if doubt.first_absent is None:
            doubt.first_absent = now
            self._ask_later(doubt, now)
            return False
        return doubt.asked_at - doubt.first_absent >= self._lag

    def failed(self, client_id: str, now: int) -> None:
        """The question itself failed: what was learnt stays, and it is asked again after a lag."""
        doubt = self._doubts.get(client_id)
        if doubt is not None:
            self._ask_later(doubt, now)

    def _ask_later(self, doubt: _Doubt, now: int) -> None:
        doubt.ask_at = now + self._lag
        self._reckon()

    def _reckon(self) -> None:
        self.due_ns = min((doubt.ask_at for doubt in self._doubts.values()), default=NEVER)
