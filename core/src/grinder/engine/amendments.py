"""Amendments that the venue has not answered: their orders count at the larger of both quantities."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from grinder.decisions import Admitted
from grinder.engine.account import Account
from grinder.types import OpenOrder

ZERO: Final = Decimal(0)


class Amendments:
    """Remembers orders as they were before their amendment, by client id."""

    def __init__(self) -> None:
        self._before: dict[str, OpenOrder] = {}

    def __contains__(self, client_id: str) -> bool:
        """Whether the order waits for the answer to an amendment."""
        return client_id in self._before

    def reserve(self, account: Account, admitted: Admitted) -> None:
        """Let the order count at the larger of both quantities until the venue has answered."""
        order = account.by_client(admitted.target_client_id)
        if order is None:
            return
        self._before.setdefault(order.client_id, order)
        more = max(admitted.qty - order.qty, ZERO)
        account.put(msgspec.structs.replace(order, qty=order.qty + more, remaining=order.remaining + more))

    def release(self, account: Account, client_id: str) -> bool:
        """Let the order stand as it was, since the amendment was refused or never sent. False if there is none."""
        order = account.by_client(client_id)
        before = self._before.pop(client_id, None)
        if order is None or before is None:
            return False
        filled = order.qty - order.remaining
        account.put(msgspec.structs.replace(order, qty=before.qty, remaining=before.qty - filled))
        return True

    def done(self, client_id: str) -> None:
        """The venue has answered, or the order is over."""
        self._before.pop(client_id, None)
