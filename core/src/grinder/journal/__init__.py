"""The journal: what was decided, sent, heard and filled; the one source of truth after a crash.

``store`` writes it and ``reading`` reads it; ``ledger`` turns its fills into positions and money, ``orders`` tells
the state of an order, ``identity`` names orders.
"""

from __future__ import annotations
