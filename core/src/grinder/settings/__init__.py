"""Settings: models, sources, and where each value came from."""

from __future__ import annotations
