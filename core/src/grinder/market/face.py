"""What strategies and gates see of a symbol: a face of its view that nothing can be changed through."""

from __future__ import annotations

from grinder.market.view import View
from grinder.types import Side


class MarketFace:
    """Implements ``MarketView``; always shows the market of this moment."""

    __slots__ = ("__view",)

    def __init__(self, view: View) -> None:
        self.__view = view

    @property
    def symbol(self) -> str:
        """The symbol."""
        return self.__view.symbol

    @property
    def bid(self) -> float:
        """Best bid; 0.0 if there is none."""
        return self.__view.bid

    @property
    def bid_qty(self) -> float:
        """Displayed quantity at the best bid."""
        return self.__view.bid_qty

    @property
    def ask(self) -> float:
        """Best ask; 0.0 if there is none."""
        return self.__view.ask

    @property
    def ask_qty(self) -> float:
        """Displayed quantity at the best ask."""
        return self.__view.ask_qty

    @property
    def mid(self) -> float:
        """Half way between best bid and ask; 0.0 if one is missing."""
        return self.__view.mid

    @property
    def mark(self) -> float:
        """Mark price; 0.0 where the feed has none."""
        return self.__view.mark

    @property
    def last(self) -> float:
        """Price of the last print; 0.0 if there was none."""
        return self.__view.last

    @property
    def age_ns(self) -> int:
        """Time since the last event of the symbol arrived."""
        return self.__view.age_ns

    @property
    def gap(self) -> bool:
        """Whether the book's sequence is broken or the feed is down."""
        return self.__view.gap

    @property
    def ready(self) -> bool:
        """Whether both best prices are sound and no book is awaited."""
        return self.__view.ready

    def levels(self, side: Side, count: int) -> tuple[tuple[float, float], ...]:
        """The best (price, quantity) levels of one side, best first."""
        return self.__view.levels(side, count)
