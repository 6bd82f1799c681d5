"""The plugin host: hook specifications, discovery without importing, the manager."""

from __future__ import annotations
