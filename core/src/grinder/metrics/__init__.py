"""Metrics: what each means, cheap counting on the order path, and export when somebody asks.

The order path counts in plain integers that their owners keep. Each owner is a source; ``export`` asks all of them at
scrape time and adds what it knows itself. Names, labels and help live in ``catalogue``.
"""

from __future__ import annotations
