"""What we believe against what the venue says."""

from __future__ import annotations
