"""The order path and the run loop: the only place where orders are admitted."""

from __future__ import annotations
