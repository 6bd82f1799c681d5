"""What recorded decisions would have been under other settings, and what that would have cost or saved."""

from __future__ import annotations
